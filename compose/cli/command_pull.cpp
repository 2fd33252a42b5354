#include "api/http/query.hpp"
#include "compose/cli/context.hpp"
#include "compose/cli/progress.hpp"
#include "compose/cli/table.hpp"
#include "compose/load/providers.hpp"
#include "compose/model/error.hpp"
#include "compose/model/images.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace compose::cli {

namespace json = boost::json;

namespace {

struct pull_flags {
    bool quiet = false;
    bool ignore_failures = false;
    bool include_deps = false;
    bool ignored = false;
    std::string policy;
    std::vector<std::string> services;
};

/// The pulls of one command, all at the same time.
struct pulls {
    pulls(context& all, bool is_quiet)
        : with(all), quiet(is_quiet),
          drawn(all.io, drawing_of(all, is_quiet ? drawing::none : drawing::live), "Pulling"), ended(all.io) {
    }

    void show(const std::string& reference, std::string_view status, std::string_view detail = {}) {
        if (!quiet)
            drawn.show({{"kind", "image"}, {"name", reference}, {"status", status}, {"detail", detail}});
    }

    context& with;
    bool quiet;
    progress drawn;
    engine::notifier ended;
    std::size_t under_way = 0;
    std::vector<std::string> failures;
};

/// Draws what the daemon tells, until it is there; gives the bytes that came.
engine::task<std::uint64_t> follow(pulls& all, api::client_stream& stream, const std::string& reference) {
    std::uint64_t bytes = 0;
    for (;;) {
        const std::optional<std::string> text = co_await stream.next_line();
        if (!text)
            throw error(error_kind::unavailable, "composed ended the connection");
        const json::value parsed = parse_reply(*text);
        const json::object& line = parsed.as_object();
        if (const json::value* failure = line.if_contains("error"))
            throw error(error_kind_from(text_of(failure->as_object(), "kind")),
                text_of(failure->as_object(), "message"));
        if (line.contains("done"))
            co_return bytes;
        bytes = line.at("image_current").to_number<std::uint64_t>();
        if (!all.quiet)
            all.drawn.show({{"kind", "image"}, {"name", reference}, {"status", "Pulling"},
                {"current", line.at("image_current")}, {"total", line.at("image_total")}});
    }
}

engine::task<> pull_one(pulls& all, std::string reference) {
    all.show(reference, "Pulling");
    try {
        api::client daemon = all.with.daemon();
        api::target target("/api/v1/images/pull");
        target.with("reference", reference);
        const std::unique_ptr<api::client_stream> stream = co_await daemon.open("POST", target.text());
        const std::uint64_t bytes = co_await follow(all, *stream, reference);
        const std::string detail = bytes > 0 ? human_bytes(static_cast<double>(bytes)) : "is up to date";
        all.show(reference, "Pulled", detail);
    } catch (const error& failure) {
        all.show(reference, "Error", failure.what());
        all.failures.emplace_back(failure.what());
    }
    --all.under_way;
    all.ended.notify_all();
}

engine::task<> pull_all(pulls& all, std::set<std::string> references) {
    all.under_way = references.size();
    for (const std::string& reference : references)
        boost::asio::co_spawn(all.with.io, pull_one(all, reference), [](std::exception_ptr failure) {
            if (failure)
                std::rethrow_exception(failure); // not one of ours: ends the program through io.run()
        });
    while (all.under_way > 0)
        co_await all.ended.wait();
}

/// The services that were named, and what they depend on where that is asked for.
std::set<std::string> meant_by(const project& of, const pull_flags& flags) {
    std::set<std::string> meant;
    std::vector<std::string> next = flags.services;
    if (next.empty())
        for (const auto& [name, service] : of.services)
            next.push_back(name);
    while (!next.empty()) {
        const std::string name = std::move(next.back());
        next.pop_back();
        const auto found = of.services.find(name);
        if (found == of.services.end() || !meant.insert(name).second || !flags.include_deps)
            continue;
        for (const auto& [other, how] : found->second.depends_on)
            next.push_back(other);
    }
    return meant;
}

/// By all of their names, and without the tag that is meant where none is given.
engine::task<std::set<std::string>> images_here(context& with) {
    api::client daemon = with.daemon();
    const std::string text = co_await daemon.call("GET", "/api/v1/images");
    const json::value all = parse_reply(text);
    std::set<std::string> names;
    for (const json::value& each : all.as_array())
        for (const json::value& name : each.at("names").as_array())
            names.emplace(name.as_string());
    constexpr std::string_view default_tag = ":latest";
    for (const std::string& name : std::set<std::string>(names))
        if (name.ends_with(default_tag))
            names.insert(name.substr(0, name.size() - default_tag.size()));
    co_return names;
}

engine::task<> pull(context& with, std::shared_ptr<pull_flags> flags) {
    loaded read = with.load_files(flags->services);
    check_services(read.project, flags->services);
    take_providers(read, {}); // there is nothing to pull
    const project& wanted = read.project;
    const std::set<std::string> meant = meant_by(wanted, *flags);
    std::set<std::string> here;
    if (flags->policy == "missing")
        here = co_await images_here(with);
    pulls all(with, flags->quiet);
    std::set<std::string> references;
    for (const auto& [name, service] : wanted.services) {
        if (!meant.contains(name))
            continue;
        if (service.pull_policy != "never")
            references.merge(compose::further_images_of(service));
        if (service.pull_policy == "never")
            all.show(service.image, "Skipped", "pull_policy is never");
        else if (here.contains(service.image))
            all.show(service.image, "Skipped", "it is here");
        else
            references.insert(service.image);
    }
    co_await pull_all(all, std::move(references));
    all.drawn.finish();
    if (!all.failures.empty() && !flags->ignore_failures)
        throw error(error_kind::unavailable, all.failures.front());
}

} // namespace

engine::task<> apply_pull_policy(
    context& with, project& wanted, std::string policy, std::vector<std::string> services, bool quiet) {
    if (policy == "never")
        for (auto& [name, service] : wanted.services)
            service.pull_policy = policy;
    if (policy != "always")
        co_return;
    pulls all(with, quiet);
    std::set<std::string> references;
    for (const auto& [name, service] : wanted.services)
        if (services.empty() || std::find(services.begin(), services.end(), name) != services.end())
            references.insert(service.image);
    co_await pull_all(all, std::move(references));
    all.drawn.finish();
    if (!all.failures.empty())
        throw error(error_kind::unavailable, all.failures.front());
}

void add_pull(const command_line& app) {
    const auto flags = std::make_shared<pull_flags>();
    const command_line command = app.add_subcommand("pull", "Pull service images");
    command.add_flag("-q,--quiet", flags->quiet, "Pull without printing progress information");
    command.add_flag("--ignore-pull-failures", flags->ignore_failures,
        "Pull what it can and ignore images with pull failures");
    command.add_flag("--include-deps", flags->include_deps, "Also pull services declared as dependencies");
    command.add_option("--policy", flags->policy, "Apply pull policy (\"missing\"|\"always\")")
        .one_of({"missing", "always"});
    command.add_flag("--ignore-buildable", flags->ignored, "There is nothing that is built").hidden();
    command.add_flag("--parallel,!--no-parallel", flags->ignored, "Always at the same time").hidden();
    command.add_option("SERVICE", flags->services, "services; all when none is named");
    command.runs([flags](context& with) { return pull(with, flags); });
}

} // namespace compose::cli
