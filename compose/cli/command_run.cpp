#include "api/http/query.hpp"
#include "compose/cli/context.hpp"
#include "compose/cli/progress.hpp"
#include "compose/cli/reconnect.hpp"
#include "compose/cli/session.hpp"
#include "compose/cli/terminal.hpp"
#include "compose/encode/encode.hpp"
#include "compose/load/dotenv.hpp"
#include "compose/load/short_syntax.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <unistd.h>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct run_flags {
    bool detach = false;
    bool remove = false;
    bool no_tty = false;
    bool interactive = true;
    bool no_deps = false;
    bool service_ports = false;
    bool use_aliases = false;
    bool remove_orphans = false;
    bool quiet = false;
    bool quiet_pull = false;
    bool tty = true;
    bool build = false;
    std::string name;
    std::string user;
    std::string working_dir;
    std::optional<std::string> entrypoint;
    std::string pull;
    std::vector<std::string> environment;
    std::vector<std::string> env_files;
    std::vector<std::string> volumes;
    std::vector<std::string> publish;
    std::vector<std::string> labels;
    std::vector<std::string> cap_add;
    std::vector<std::string> cap_drop;
    std::string service;
    std::vector<std::string> command;
};

void add_environment(service& into, const run_flags& flags, const context& with) {
    const auto lookup = [&](std::string_view name) -> std::optional<std::string> {
        const auto found = with.files.environment.find(std::string(name));
        return found == with.files.environment.end() ? std::nullopt : std::optional(found->second);
    };
    const auto set = [&](const std::string& name, const std::optional<std::string>& value) {
        into.environment[name] = value ? value : lookup(name);
    };
    for (const std::string& file : flags.env_files) {
        std::ifstream in(file);
        if (!in)
            throw error(error_kind::not_found, fmt::format("--env-from-file: cannot read \"{}\"", file));
        const std::string text(std::istreambuf_iterator<char>(in), {});
        for (const auto& [name, value] : parse_dotenv(text, file, lookup))
            set(name, value);
    }
    for (const std::string& entry : flags.environment) {
        const auto equals = entry.find('=');
        set(entry.substr(0, equals),
            equals == std::string::npos ? std::nullopt : std::optional(entry.substr(equals + 1)));
    }
}

/// A source that is a path is one of here.
mount mount_of(const std::string& text, const context& with) {
    mount made = parse_mount(text);
    if (made.type != mount_type::bind)
        return made;
    std::filesystem::path source = made.source;
    if (made.source.starts_with('~')) {
        const auto home = with.files.environment.find("HOME");
        source = (home == with.files.environment.end() ? "/root" : home->second) + made.source.substr(1);
    }
    made.source = (with.files.working_directory / source).lexically_normal();
    if (made.source.size() > 1 && made.source.ends_with('/'))
        made.source.pop_back();
    return made;
}

void apply(service& to, const run_flags& flags, const context& with, bool tty) {
    if (!flags.command.empty())
        to.command = flags.command;
    if (flags.entrypoint) {
        to.entrypoint = split_command(*flags.entrypoint);
        if (flags.command.empty())
            to.command = std::vector<std::string>();
    }
    to.tty = tty;
    to.stdin_open = flags.interactive;
    if (!flags.user.empty())
        to.user = flags.user;
    if (!flags.working_dir.empty())
        to.working_dir = flags.working_dir;
    add_environment(to, flags, with);
    for (const std::string& text : flags.volumes) {
        mount added = mount_of(text, with);
        std::erase_if(to.mounts, [&](const mount& each) { return each.target == added.target; });
        to.mounts.push_back(std::move(added));
    }
    for (const std::string& label : flags.labels) {
        const auto equals = label.find('=');
        to.labels[label.substr(0, equals)] =
            equals == std::string::npos ? std::string() : label.substr(equals + 1);
    }
    for (const auto& [given, list, other] :
        {std::tuple(&flags.cap_add, &to.cap_add, &to.cap_drop), {&flags.cap_drop, &to.cap_drop, &to.cap_add}})
        for (const std::string& capability : *given) {
            std::erase(*other, capability);
            list->push_back(capability);
        }
    if (flags.publish.empty())
        return;
    to.ports.clear();
    for (const std::string& text : flags.publish)
        for (port& each : parse_port(text))
            to.ports.push_back(std::move(each));
}

json::object service_json(const project& of, const std::string& name) {
    const json::value whole = parse_reply(to_wire(of));
    return whole.at("services").at(name).as_object();
}

/// What is different in the second, for the API: null is what it does not have.
json::object changes_between(const json::object& before, const json::object& after) {
    json::object changes;
    for (const auto& member : after)
        if (const json::value* there = before.if_contains(member.key());
            there == nullptr || *there != member.value())
            changes[member.key()] = member.value();
    for (const auto& member : before)
        if (!after.contains(member.key()))
            changes[member.key()] = nullptr;
    return changes;
}

std::string target_of(const std::string& project, const run_flags& flags) {
    api::target target = project_target(project, "/run");
    target.with("dependencies", !flags.no_deps).with("auto_remove", flags.remove);
    target.with("service_ports", flags.service_ports).with("use_aliases", flags.use_aliases);
    target.with("remove_orphans", flags.remove_orphans);
    if (!flags.name.empty())
        target.with("name", flags.name);
    return target.text();
}

engine::task<std::string> make_container(context& with, std::shared_ptr<run_flags> flags, bool tty) {
    std::vector<std::string> named{flags->service};
    project wanted = co_await with.load_or_known(named, !flags->no_deps);
    wanted.services.merge(wanted.disabled_services); // who names it wants it
    if (!wanted.services.contains(flags->service))
        throw error(error_kind::not_found, fmt::format("no such service: {}", flags->service));
    if (!flags->no_deps)
        named.clear();
    co_await apply_pull_policy(with, wanted, flags->pull, named, flags->quiet_pull);
    const json::object before = service_json(wanted, flags->service);
    project changed = wanted;
    apply(changed.services.at(flags->service), *flags, with, tty);
    json::object request{{"service", flags->service},
        {"changes", changes_between(before, service_json(changed, flags->service))},
        {"definition", parse_reply(to_wire(wanted))}};
    api::request_body body{.content_type = "application/json", .text = json::serialize(request)};
    api::client daemon = with.daemon();
    std::unique_ptr<api::client_stream> stream =
        co_await daemon.open("POST", target_of(wanted.name, *flags), std::move(body));
    const json::object last = co_await follow_operation(
        with, std::move(stream), "Creating", nullptr, flags->quiet ? drawing::none : drawing::live);
    co_return text_of(last, "container");
}

engine::task<> run(context& with, std::shared_ptr<run_flags> flags) {
    if (flags->service_ports && !flags->publish.empty())
        throw error(error_kind::invalid, "--service-ports and --publish are incompatible");
    warn_of_build(flags->build);
    const bool terminal = is_terminal(STDIN_FILENO) && is_terminal(STDOUT_FILENO);
    const bool tty = terminal && flags->tty && !flags->no_tty && !flags->detach;
    const std::string id = co_await make_container(with, flags, tty);
    if (flags->detach) {
        api::client daemon = with.daemon();
        co_await daemon.call("POST", fmt::format("/api/v1/containers/{}/start", id));
        fmt::print("{}\n", id);
        co_return;
    }
    api::target target(fmt::format("/api/v1/containers/{}/attach", id));
    target.with("start", true).with("stdin", flags->interactive);
    if (tty) {
        const terminal_size size = size_of_terminal(STDOUT_FILENO);
        target.with("rows", size.rows).with("columns", size.columns);
    }
    std::unique_ptr<api::client_connection> opened = co_await open_session(with, target.text(), "{}");
    if (!opened)
        co_return;
    session_options how{.tty = tty, .input = flags->interactive, .signals = !tty, .detach_keys = {}};
    if (tty)
        how.detach_keys = "ctrl-p,ctrl-q";
    with.exit_code = co_await converse_with_container(with, id, std::move(opened), std::move(how));
}

void add_what_it_is(const command_line& command, run_flags& flags) {
    const auto list = [&](const std::string& name, std::vector<std::string>& into, const std::string& help) {
        command.add_option(name, into, help).one_each();
    };
    list("-e,--env", flags.environment, "Set environment variables");
    list("--env-from-file", flags.env_files, "Set environment variables from file");
    list("-v,--volume", flags.volumes, "Bind mount a volume");
    list("-p,--publish", flags.publish, "Publish a container's port(s) to the host");
    list("-l,--label", flags.labels, "Add or override a label");
    list("--cap-add", flags.cap_add, "Add Linux capabilities");
    list("--cap-drop", flags.cap_drop, "Drop Linux capabilities");
    command.add_option("--name", flags.name, "Assign a name to the container");
    command.add_option("-u,--user", flags.user, "Run as specified username or uid");
    command.add_option("-w,--workdir", flags.working_dir, "Working directory inside the container");
    command.add_option("--entrypoint", flags.entrypoint, "Override the entrypoint of the image");
    command.add_flag("-P,--service-ports", flags.service_ports,
        "Run command with all service's ports enabled and mapped to the host");
    command.add_flag("--use-aliases", flags.use_aliases,
        "Use the service's network useAliases in the network(s) the container connects to");
}

} // namespace

void add_run(const command_line& app) {
    const auto flags = std::make_shared<run_flags>();
    const command_line command = app.add_subcommand("run", "Run a one-off command on a service");
    command.add_flag("-d,--detach", flags->detach, "Run container in background and print container ID");
    command.add_flag("--rm", flags->remove, "Automatically remove the container when it exits");
    command.add_flag("-T,--no-tty,--no-TTY", flags->no_tty,
        "Disable pseudo-TTY allocation; it is off where stdin or stdout is none");
    command.add_flag("-i,--interactive", flags->interactive, "Keep STDIN open even if not attached");
    command.add_flag("-t,--tty", flags->tty, "As is where stdin and stdout are a terminal").hidden();
    command.add_flag("--no-deps", flags->no_deps, "Don't start linked services");
    add_pull_option(command, flags->pull);
    add_build_flags(command, flags->build);
    command.add_flag("-q,--quiet", flags->quiet, "Don't print anything to STDERR");
    command.add_flag("--quiet-pull", flags->quiet_pull, "Pull without printing progress information");
    command.add_flag("--remove-orphans", flags->remove_orphans,
        "Remove containers for services not defined in the Compose file");
    add_what_it_is(command, *flags);
    command.add_option("SERVICE", flags->service, "service").required();
    command.add_option("COMMAND", flags->command, "command and its arguments, in place of the service's");
    command.runs([flags](context& with) { return run(with, flags); });
}

} // namespace compose::cli
