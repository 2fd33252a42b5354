#pragma once

#include "compose/cli/context.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <set>
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
    std::optional<std::chrono::system_clock::time_point> until;
    int index = 0; // of the containers of a service; 0: all
    std::vector<std::string> services;
    std::set<std::string> hidden; // services whose lines are not shown
    /// Told of each run that ends while they are followed, shown or not.
    std::function<void(const std::string& service, int code, bool restarting)> ended;
};

/// Prints the logs of a project's containers on stdout, each line after its container's name. With `follow`
/// until none of them can write any more.
engine::task<> print_logs(context& with, std::string project, log_options how);

} // namespace compose::cli
