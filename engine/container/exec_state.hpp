#pragma once

#include "engine/container/exec_session.hpp"
#include "engine/system/notifier.hpp"

#include <cstdint>
#include <functional>
#include <optional>

namespace engine {

/// What an exec_session and its container's conversation with the shim share.
struct exec_session::shared {
    explicit shared(boost::asio::io_context& io) : changed(io) {}

    bool started = false;
    bool failed = false;
    std::int64_t failure_code = 0; // the OCI runtime's exit code
    pid_t pid = 0;
    std::optional<int> code;
    stream_set streams;
    unique_fd terminal; // a duplicate for resize(): streams may be taken
    std::function<void(int number)> signal;
    notifier changed;
};

} // namespace engine
