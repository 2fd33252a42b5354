#pragma once

#include "compose/cli/context.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace compose::cli {

struct log_options {
    bool follow = false;
    bool color = true;
    bool prefix = true;
    bool timestamps = false;
    std::string tail; // a number, or "all"
    std::optional<std::chrono::system_clock::time_point> since;
    std::vector<std::string> services;
};

/// Prints the logs of a project's containers on stdout, each line after its container's name. With `follow`
/// until none of them can write any more.
engine::task<> print_logs(context& with, std::string project, log_options how);

} // namespace compose::cli
