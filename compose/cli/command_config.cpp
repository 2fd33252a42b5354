#include "compose/cli/context.hpp"
#include "compose/encode/encode.hpp"
#include "compose/load/render.hpp"
#include "compose/model/error.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <set>

namespace compose::cli {

namespace {

struct config_flags {
    std::string format = "yaml";
    std::string output;
    std::string hash;
    bool quiet = false;
    bool services = false;
    bool volumes = false;
    bool networks = false;
    bool images = false;
    bool profiles = false;
    std::vector<std::string> only;
};

std::string print(const loaded& read, const config_flags& flags) {
    const project& shown = read.project;
    std::string text;
    const auto keys = [&](const auto& map) {
        for (const auto& [key, value] : map)
            text += key + "\n";
    };
    if (flags.services)
        keys(shown.services);
    else if (flags.volumes)
        keys(shown.volumes);
    else if (flags.networks)
        keys(shown.networks);
    else if (flags.images)
        for (const auto& [name, service] : shown.services)
            text += service.image + "\n";
    else if (flags.profiles) {
        std::set<std::string> all;
        for (const auto& [name, service] : shown.services)
            all.insert(service.profiles.begin(), service.profiles.end());
        for (const std::string& each : all)
            text += each + "\n";
    } else if (!flags.hash.empty()) {
        for (const auto& [name, service] : shown.services)
            if (flags.hash == "*" || flags.hash == name)
                text += fmt::format("{} {}\n", name, service_hash(service));
    } else {
        text = flags.format == "json" ? to_json(*read.tree) : to_yaml(*read.tree);
    }
    return text;
}

engine::task<> config(context& with, std::shared_ptr<config_flags> flags) {
    const loaded shown = with.load_files(flags->only);
    check_services(shown.project, flags->only);
    if (flags->quiet)
        co_return;
    const std::string text = print(shown, *flags);
    if (flags->output.empty()) {
        std::fwrite(text.data(), 1, text.size(), stdout);
        co_return;
    }
    std::ofstream file(flags->output);
    file << text;
    if (!file.flush())
        throw error(error_kind::invalid, fmt::format("write \"{}\": it cannot be written", flags->output));
}

} // namespace

void add_config(CLI::App& app, action& chosen) {
    const auto flags = std::make_shared<config_flags>();
    CLI::App* command =
        app.add_subcommand("config", "Parse, resolve and render compose file in canonical format");
    command->alias("convert");
    command->add_option("--format", flags->format, "yaml or json")->check(CLI::IsMember({"yaml", "json"}));
    command->add_option("-o,--output", flags->output, "Save to file (default to stdout)");
    command->add_option("--hash", flags->hash, "Print the service config hash, one per line; * for all");
    command->add_flag("-q,--quiet", flags->quiet, "Only validate the configuration, don't print anything");
    command->add_flag("--services", flags->services, "Print the service names, one per line");
    command->add_flag("--volumes", flags->volumes, "Print the volume names, one per line");
    command->add_flag("--networks", flags->networks, "Print the network names, one per line");
    command->add_flag("--images", flags->images, "Print the image names, one per line");
    command->add_flag("--profiles", flags->profiles, "Print the profile names, one per line");
    command->add_option("SERVICE", flags->only, "services whose profiles are on");
    command->callback([flags, &chosen] { chosen = [flags](context& with) { return config(with, flags); }; });
}

} // namespace compose::cli
