#include "compose/cli/context.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <cstdio>

namespace compose::cli {

namespace {

struct version_flags {
    bool brief = false;
    std::string format = "pretty";
};

engine::task<> version(context&, std::shared_ptr<version_flags> flags) {
    if (flags->brief)
        fmt::print("{}\n", COMPOSED_VERSION);
    else if (flags->format == "json")
        fmt::print("{}\n", boost::json::serialize(boost::json::object{{"version", COMPOSED_VERSION}}));
    else
        fmt::print("composed version {}\n", COMPOSED_VERSION);
    co_return;
}

} // namespace

void add_version(const command_line& app) {
    const auto flags = std::make_shared<version_flags>();
    const command_line command = app.add_subcommand("version", "Show the version");
    command.add_flag("--short", flags->brief, "Shows only the version number");
    command.add_option("-f,--format", flags->format, "pretty or json").one_of({"pretty", "json"});
    command.runs([flags](context& with) { return version(with, flags); });
}

} // namespace compose::cli
