#pragma once

#include "compose/cli/context.hpp"
#include "compose/load/providers.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace compose::cli {

// Services that are provided by a program (docker-TYPE, TYPE or compose-TYPE) with Docker Compose's protocol:
// it is run with `compose --project-name=NAME up|down|stop --OPTION=VALUE… SERVICE` and prints a JSON object
// a line.

/// Has each brought up, and gives what it says to the services of `to` that depend on it, as variables.
/// Throws error naming the service for one that cannot.
void provide(
    project& to, const std::vector<provider>& providers, const std::map<std::string, std::string>& variables);

/// `command`: down, or stop, for which a program says that it knows it. The last is first.
void end_provided(const std::string& project, const std::vector<provider>& providers,
    std::string_view command, const std::map<std::string, std::string>& variables);

/// Of `down` and `stop`: what the files say is provided, of `services` or all; these leave `services`, and
/// `only` says whether nothing else was named. Nothing where there are no files, or none that can be read.
struct provided_services {
    std::vector<provider> providers;
    std::map<std::string, std::string> variables;
    bool only = false;
};
provided_services find_provided(context& with, std::vector<std::string>& services);

} // namespace compose::cli
