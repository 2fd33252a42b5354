#include "engine/project/launch_builder.hpp"

#include "compose/model/error.hpp"
#include "engine/project/launch_surroundings.hpp"
#include "engine/project/naming_files.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <csignal>
#include <sstream>
#include <utility>

namespace engine {

namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

std::vector<std::string> arguments_of(const compose::service& service, const image_config& image) {
    std::vector<std::string> args = service.entrypoint.value_or(image.entrypoint);
    // An entrypoint of the service drops the image's command: it was written for the image's own entrypoint.
    const std::vector<std::string> none;
    const std::vector<std::string>& command =
        service.command ? *service.command : (service.entrypoint ? none : image.cmd);
    args.insert(args.end(), command.begin(), command.end());
    if (args.empty())
        throw error(error_kind::invalid,
            fmt::format(
                "service \"{}\": neither the image nor the file says what to run; set command or entrypoint",
                service.name));
    return args;
}

std::vector<std::string> environment_of(const compose::service& service, const image_config& image) {
    std::vector<std::string> lines;
    for (const std::string& line : image.env) {
        const auto found = service.environment.find(line.substr(0, line.find('=')));
        if (found == service.environment.end())
            lines.push_back(line);
    }
    for (const auto& [name, value] : service.environment)
        if (value)
            lines.push_back(fmt::format("{}={}", name, *value));
    return lines;
}

container_mount tmpfs_mount(const std::string& entry) {
    const auto colon = entry.find(':');
    container_mount mount{
        .type = container_mount::kind::tmpfs, .source = {}, .destination = entry.substr(0, colon)};
    if (colon == std::string::npos)
        return mount;
    std::istringstream options(entry.substr(colon + 1));
    for (std::string option; std::getline(options, option, ',');)
        mount.options.push_back(option);
    return mount;
}

constexpr std::array<std::pair<std::string_view, int>, 31> signals{{{"HUP", SIGHUP}, {"INT", SIGINT},
    {"QUIT", SIGQUIT}, {"ILL", SIGILL}, {"TRAP", SIGTRAP}, {"ABRT", SIGABRT}, {"BUS", SIGBUS},
    {"FPE", SIGFPE}, {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"SEGV", SIGSEGV}, {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE}, {"ALRM", SIGALRM}, {"TERM", SIGTERM}, {"STKFLT", SIGSTKFLT}, {"CHLD", SIGCHLD},
    {"CONT", SIGCONT}, {"STOP", SIGSTOP}, {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},
    {"URG", SIGURG}, {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF},
    {"WINCH", SIGWINCH}, {"IO", SIGIO}, {"PWR", SIGPWR}, {"SYS", SIGSYS}}};

// RTMIN, RTMIN+N, RTMAX, RTMAX-N: systemd images stop on SIGRTMIN+3.
std::optional<int> realtime_signal(const std::string& name) {
    const bool low = name.starts_with("RTMIN");
    if (!low && !name.starts_with("RTMAX"))
        return std::nullopt;
    const std::string rest = name.substr(5);
    if (rest.empty())
        return low ? SIGRTMIN : SIGRTMAX;
    int offset = 0;
    const auto [end, failed] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), offset);
    if (rest[0] != (low ? '+' : '-') || failed != std::errc() || end != rest.data() + rest.size())
        return std::nullopt;
    const int number = low ? SIGRTMIN + offset : SIGRTMAX - offset;
    return number >= SIGRTMIN && number <= SIGRTMAX ? std::optional(number) : std::nullopt;
}

std::uint16_t port_number(const std::string& text, const std::string& whole) {
    unsigned number = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || failed != std::errc() || end != text.data() + text.size() || number > 65535)
        throw error(
            error_kind::invalid, fmt::format("publish port \"{}\": not a port number or range", whole));
    return static_cast<std::uint16_t>(number);
}

} // namespace

int signal_number(const std::string& name) {
    int number = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (failed == std::errc() && end == name.data() + name.size() && number > 0 && number <= SIGRTMAX)
        return number;
    std::string plain = name;
    std::transform(plain.begin(), plain.end(), plain.begin(),
        [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    if (plain.starts_with("SIG"))
        plain = plain.substr(3);
    for (const auto& [known, value] : signals)
        if (plain == known)
            return value;
    if (const auto realtime = realtime_signal(plain))
        return *realtime;
    throw error(error_kind::invalid, fmt::format("signal \"{}\": there is none of that name", name));
}

int stop_signal_of(const compose::service& service, const image_config& image) {
    const std::string& name = service.stop_signal.empty() ? image.stop_signal : service.stop_signal;
    if (name.empty())
        return SIGTERM;
    try {
        return signal_number(name);
    } catch (const error&) {
        return SIGTERM; // a container with a name that is no signal's can be stopped all the same
    }
}

std::vector<port_request> ports_of(
    const compose::service& service, const std::optional<ip_address>& default_host) {
    std::vector<port_request> requests;
    for (const compose::port& port : service.ports) {
        port_request request;
        if (!port.host_ip.empty()) {
            const auto host = parse_ip(port.host_ip);
            if (!host)
                throw error(
                    error_kind::invalid, fmt::format("service \"{}\": host_ip \"{}\" is no IP address",
                                             service.name, port.host_ip));
            request.host = *host;
        } else if (default_host) {
            request.host = *default_host;
        } else {
            request.both_families = true;
        }
        const auto protocol = parse_transport(port.protocol);
        if (!protocol)
            throw error(error_kind::invalid,
                fmt::format(
                    "service \"{}\": protocol \"{}\" of a port is not known; there are tcp, udp, sctp",
                    service.name, port.protocol));
        request.protocol = *protocol;
        request.target = port.target;
        if (!port.published.empty()) {
            const auto dash = port.published.find('-');
            request.first = port_number(port.published.substr(0, dash), port.published);
            request.last = dash == std::string::npos
                               ? request.first
                               : port_number(port.published.substr(dash + 1), port.published);
        }
        requests.push_back(request);
    }
    return requests;
}

namespace {

/// Zero says nothing, as for Docker: a probe without a pause or a limit is no use to anybody.
template <typename Value>
void take(Value& into, const std::optional<Value>& given) {
    if (given && *given != Value())
        into = *given;
}

template <typename Health>
void take_times(health_config& into, const Health& from) {
    take(into.interval, from.interval);
    take(into.timeout, from.timeout);
    take(into.start_period, from.start_period);
    take(into.start_interval, from.start_interval);
    take(into.retries, from.retries);
}

} // namespace

std::optional<health_config> health_of(const compose::service& service, const image_config& image) {
    health_config config;
    std::vector<std::string> test;
    if (image.healthcheck) {
        test = image.healthcheck->test;
        take_times(config, *image.healthcheck);
    }
    if (service.health) {
        const compose::healthcheck& own = *service.health;
        if (own.disable)
            return std::nullopt;
        if (!own.test.empty())
            test = own.test;
        take_times(config, own);
    }
    if (test.size() < 2 || test[0] == "NONE")
        return std::nullopt;
    if (test[0] == "CMD-SHELL")
        config.args = {"/bin/sh", "-c", test[1]};
    else
        config.args.assign(test.begin() + 1, test.end());
    return config;
}

namespace {

/// A switch of x-composed; nothing when it is not there.
std::optional<bool> own_switch(const compose::extensions& extra, std::string_view name) {
    const auto found = extra.find("x-composed");
    if (found == extra.end())
        return std::nullopt;
    const json::value parsed = json::parse(found->second);
    const json::value* value = parsed.is_object() ? parsed.as_object().if_contains(name) : nullptr;
    return value != nullptr && value->is_bool() ? std::optional(value->as_bool()) : std::nullopt;
}

} // namespace

bool restarts_unhealthy(const compose::project& project, const compose::service& service) {
    constexpr std::string_view name = "restart-unhealthy";
    if (const auto own = own_switch(service.extra, name))
        return *own;
    const auto label = service.labels.find("autoheal");
    return (label != service.labels.end() && label->second == "true") ||
           own_switch(project.extra, name).value_or(false);
}

bool joins_network(const compose::service& service) {
    return !joined_by(service.network_mode).empty();
}

launch build_launch(const launch_parts& parts) {
    const container_record& record = parts.record;
    const compose::service& service = record.service_definition();
    launch what;
    what.id = record.id;
    what.name = record.name;
    what.generation = record.generation;
    what.layers = parts.layers;
    what.log = parts.log;
    what.secrets = parts.secrets;
    what.network =
        parts.network == nullptr || parts.network->endpoints.empty() ? network_kind::none : network_kind::own;
    const compose::service& named = parts.named.service_definition();
    const bool of_host = named.network_mode == "host";
    if (!parts.join.empty()) {
        what.network = network_kind::join;
        what.join_namespace = parts.join;
    } else if (of_host) {
        what.network = network_kind::host;
    }
    what.hosts = of_host ? hosts_file_of_host(named, parts.host.hosts)
                         : hosts_file(parts.named, parts.network, parts.host_gateway);
    what.resolv_conf = of_host ? resolv_file_of_host(named, parts.host.resolv_conf)
                               : resolv_file(named, parts.host.resolv_conf);

    what.join_pid = parts.join_pid;
    what.join_ipc = parts.join_ipc;
    what.join_network = parts.join_network;
    what.cgroup_parent = service.cgroup_parent.substr(
        std::min(service.cgroup_parent.find_first_not_of('/'), service.cgroup_parent.size()));
    what.oci_runtime = service.runtime;

    container_spec& spec = what.spec;
    spec.args = arguments_of(service, parts.image);
    spec.env = environment_of(service, parts.image);
    spec.cwd = !service.working_dir.empty()       ? service.working_dir
               : !parts.image.working_dir.empty() ? parts.image.working_dir
                                                  : "/";
    spec.user = service.user.empty() ? parts.image.user : service.user;
    if (!service.hostname.empty())
        spec.hostname = service.hostname;
    else
        spec.hostname = of_host && !parts.host.name.empty() ? parts.host.name : hostname_of(parts.named);
    spec.domainname = service.domainname;
    spec.tty = service.tty;
    spec.stdin_open = service.stdin_open;
    spec.stdin_once = record.one_off;
    spec.read_only = service.read_only;
    spec.init = service.init.value_or(false);
    spec.annotations = service.annotations;
    spec.mounts = parts.mounts;
    for (const std::string& entry : service.tmpfs)
        spec.mounts.push_back(tmpfs_mount(entry));
    apply_surroundings(spec, service);
    return what;
}

} // namespace engine
