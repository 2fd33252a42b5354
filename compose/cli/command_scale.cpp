#include "compose/cli/context.hpp"
#include "compose/cli/progress.hpp"
#include "compose/encode/encode.hpp"
#include "compose/model/error.hpp"
#include "compose/model/units.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

namespace compose::cli {

namespace {

struct scale_flags {
    bool no_deps = false;
    std::vector<std::string> scales; // SERVICE=N
};

engine::task<> scale(context& with, std::shared_ptr<scale_flags> flags) {
    std::vector<std::string> services;
    for (const std::string& each : flags->scales)
        services.push_back(each.substr(0, each.find('=')));
    apply_scales(nullptr, flags->scales); // what is none is told before anything is read
    project wanted = co_await with.load_or_known(services, !flags->no_deps);
    apply_scales(&wanted, flags->scales);
    api::request_body body{.content_type = "application/json", .text = to_wire(wanted)};
    api::client daemon = with.daemon();
    api::target target = project_target(wanted.name);
    target.with("dependencies", !flags->no_deps);
    add_services(target, services);
    std::unique_ptr<api::client_stream> stream = co_await daemon.open("PUT", target.text(), std::move(body));
    co_await follow_operation(with, std::move(stream), "Scaling");
}

} // namespace

void apply_scales(project* to, const std::vector<std::string>& scales) {
    constexpr std::int64_t most = 100'000;
    for (const std::string& each : scales) {
        const auto equals = each.find('=');
        if (equals == std::string::npos || equals == 0)
            throw error(error_kind::invalid, fmt::format("invalid scale specifier: {}", each));
        const auto number = parse_integer(each.substr(equals + 1));
        if (!number || *number < 0 || *number > most)
            throw error(error_kind::invalid,
                fmt::format("invalid scale specifier: can't parse replica value as int: {}", each));
        if (to == nullptr)
            continue;
        const auto found = to->services.find(each.substr(0, equals));
        if (found == to->services.end())
            throw error(error_kind::not_found, fmt::format("no such service: {}", each.substr(0, equals)));
        found->second.scale = static_cast<unsigned>(*number);
    }
}

void add_scale(const command_line& app) {
    const auto flags = std::make_shared<scale_flags>();
    const command_line command = app.add_subcommand("scale", "Scale services");
    command.add_flag("--no-deps", flags->no_deps, "Don't start linked services");
    command.add_option("SERVICE=REPLICAS", flags->scales, "how many containers of which service").required();
    command.runs([flags](context& with) { return scale(with, flags); });
}

} // namespace compose::cli
