#include "compose/cli/context.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct port_flags {
    std::string protocol = "tcp";
    int index = 0;
    std::string service;
    int port = 0;
};

engine::task<> port(context& with, std::shared_ptr<port_flags> flags) {
    const std::string name = with.project_name();
    const json::object container = co_await find_container(with, name, flags->service, flags->index);
    std::vector<std::string> published;
    if (const json::value* ports = container.if_contains("ports"))
        for (const json::value& each : ports->as_array()) {
            const json::object& one = each.as_object();
            const auto number = one.at("published").to_number<unsigned>();
            const std::string host = text_of(one, "host_ip");
            const std::string shown = host.find(':') == std::string::npos ? host : fmt::format("[{}]", host);
            if (one.at("target").to_number<int>() == flags->port &&
                text_of(one, "protocol") == flags->protocol) {
                fmt::print("{}:{}\n", shown, number);
                co_return;
            }
            published.push_back(fmt::format("{}:{}->{}/{}", shown, number,
                one.at("target").to_number<unsigned>(), text_of(one, "protocol")));
        }
    throw error(
        error_kind::not_found, fmt::format("no port {}/{} for container {}: {}", flags->port, flags->protocol,
                                   text_of(container, "name"), fmt::join(published, ", ")));
}

} // namespace

void add_port(const command_line& app) {
    const auto flags = std::make_shared<port_flags>();
    const command_line command = app.add_subcommand("port", "Print the public port for a port binding");
    command.add_option("--protocol", flags->protocol, "tcp, udp or sctp").check([](std::string& text) {
        std::transform(text.begin(), text.end(), text.begin(),
            [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        const bool known = text == "tcp" || text == "udp" || text == "sctp";
        return known ? std::string() : fmt::format("\"{}\" is neither tcp nor udp nor sctp", text);
    });
    command.add_option("--index", flags->index, "Index of the container if service has multiple replicas");
    command.add_option("SERVICE", flags->service, "service").required();
    command.add_option("PRIVATE_PORT", flags->port, "port inside the container").required().between(1, 65535);
    command.runs([flags](context& with) { return port(with, flags); });
}

} // namespace compose::cli
