#pragma once

#include "compose/cli/context.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace compose::cli {

struct log_options {
    bool follow = false;
    bool color = true;
    bool prefix = true;
    bool timestamps = false;
    std::string tail;                          // a number, or "all"
    std::optional<std::int64_t> since_seconds; // after the epoch
    std::vector<std::string> services;
};

/// Prints the logs of a project's containers on stdout, each line after its container's name. With `follow`
/// until none of them can write any more.
engine::task<> print_logs(context& with, std::string project, log_options how);

} // namespace compose::cli
