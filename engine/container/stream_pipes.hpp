#pragma once

#include "engine/container/exec_session.hpp"
#include "engine/system/fd.hpp"

#include <vector>

namespace engine {

/// The two sides of a process's streams: the daemon's, non-blocking, and those for the shim in the order it
/// expects.
struct stream_pipes {
    stream_set ours;
    std::vector<unique_fd> theirs;

    void add_input();
    void add_output(unique_fd& into); // `into` is a member of `ours`

    /// Of `theirs`, for sending.
    std::vector<int> numbers() const;
};

/// What an exec is started with: stdin, stdout, stderr, and of one with a name what its output is read from;
/// nothing for a terminal, as the shim sends that.
/// Throws error{exhausted}.
stream_pipes streams_for(const exec_spec& spec);

} // namespace engine
