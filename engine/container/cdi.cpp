#include "engine/container/cdi.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

namespace engine {

namespace fs = std::filesystem;
using compose::error;
using compose::error_kind;

namespace {

constexpr std::size_t most_bytes = 1U << 20U; // of a file; those of vendors have some ten KiB

std::string text(const YAML::Node& map, const char* key) {
    const YAML::Node found = map[key];
    return found && found.IsScalar() ? found.as<std::string>() : std::string();
}

std::string list_of(const std::vector<fs::path>& folders) {
    std::string all;
    for (const fs::path& folder : folders)
        all += (all.empty() ? "" : ", ") + folder.native();
    return all;
}

std::vector<std::string> texts(const YAML::Node& map, const char* key) {
    std::vector<std::string> all;
    if (const YAML::Node found = map[key])
        for (const YAML::Node& each : found)
            all.push_back(each.as<std::string>());
    return all;
}

} // namespace

struct cdi_registry::parser {
    static edits edits_of(const YAML::Node& from) {
        edits made;
        if (!from)
            return made;
        made.env = texts(from, "env");
        for (const YAML::Node& node : from["deviceNodes"]) {
            const std::string path = text(node, "path");
            const std::string source = text(node, "hostPath");
            const std::string permissions = text(node, "permissions");
            made.devices.push_back({.source = source.empty() ? path : source,
                .path = path,
                .permissions = permissions.empty() ? "rwm" : permissions});
        }
        for (const YAML::Node& node : from["mounts"])
            made.mounts.push_back(mount_of(node));
        for (const YAML::Node& node : from["hooks"])
            made.hooks.push_back({.stage = text(node, "hookName"),
                .path = text(node, "path"),
                .args = texts(node, "args"),
                .env = texts(node, "env"),
                .timeout = node["timeout"] ? node["timeout"].as<std::int64_t>() : 0});
        made.groups = texts(from, "additionalGids");
        return made;
    }

    static container_mount mount_of(const YAML::Node& from) {
        container_mount made;
        made.source = text(from, "hostPath");
        made.destination = text(from, "containerPath");
        for (std::string& option : texts(from, "options"))
            if (option == "ro")
                made.read_only = true;
            else if (option != "rw" && option != "bind" && option != "rbind" && !option.ends_with("private"))
                made.options.push_back(std::move(option));
        return made;
    }
};

cdi_registry::cdi_registry(const std::vector<fs::path>& folders) : folders_(folders) {
    for (const fs::path& folder : folders) {
        std::error_code none;
        std::set<fs::path> files;
        for (const fs::directory_entry& entry : fs::directory_iterator(folder, none))
            if (entry.path().extension() == ".yaml" || entry.path().extension() == ".json")
                files.insert(entry.path());
        for (const fs::path& file : files) {
            try {
                read(file);
            } catch (const std::exception& failure) {
                spdlog::warn("CDI specification {}: {}", file.native(), failure.what());
            }
        }
    }
}

void cdi_registry::read(const fs::path& file) {
    const YAML::Node root = YAML::Load(read_file(file, most_bytes)); // JSON is YAML
    const std::string name = text(root, "kind");
    if (name.find('/') == std::string::npos)
        throw error(error_kind::invalid, fmt::format("kind \"{}\" is no vendor.com/class", name));
    kind made;
    made.common = parser::edits_of(root["containerEdits"]);
    for (const YAML::Node& device : root["devices"])
        made.devices[text(device, "name")] = parser::edits_of(device["containerEdits"]);
    kinds_[name] = std::move(made);
}

std::vector<std::string> cdi_registry::names_of(const compose::device_request& wanted) const {
    if (wanted.driver == "cdi")
        return wanted.device_ids;
    const std::string vendor = wanted.driver.empty() ? "" : wanted.driver + ".com/";
    const auto found = std::find_if(kinds_.begin(), kinds_.end(), [&](const auto& each) {
        const std::string name = each.first.substr(each.first.find('/') + 1);
        return each.first.starts_with(vendor) &&
               std::find(wanted.capabilities.begin(), wanted.capabilities.end(), name) !=
                   wanted.capabilities.end();
    });
    if (found == kinds_.end())
        throw error(error_kind::not_found,
            fmt::format(
                "no device for driver \"{}\" with capabilities [{}]: there is no CDI specification of "
                "it in {}; the vendor's toolkit makes one",
                wanted.driver, fmt::join(wanted.capabilities, ", "), list_of(folders_)));
    const auto& [name, devices] = *found;
    std::vector<std::string> names;
    for (const std::string& id : wanted.device_ids)
        names.push_back(fmt::format("{}={}", name, id));
    if (!names.empty())
        return names;
    const std::int64_t count = wanted.count.value_or(-1);
    if (count < 0 && devices.devices.contains("all"))
        return {name + "=all"};
    for (const auto& [id, what] : devices.devices)
        if (id != "all" && (count < 0 || names.size() < static_cast<std::size_t>(count)))
            names.push_back(fmt::format("{}={}", name, id));
    if (count > 0 && names.size() < static_cast<std::size_t>(count))
        throw error(error_kind::not_found,
            fmt::format("{} devices of {} are wanted, and there are {}", count, name, names.size()));
    return names;
}

void cdi_registry::add(container_spec& spec, const std::string& name) {
    const auto equals = std::min(name.find('='), name.size());
    const auto found = kinds_.find(name.substr(0, equals));
    const std::string id = name.substr(std::min(equals + 1, name.size()));
    if (found == kinds_.end() || !found->second.devices.contains(id))
        throw error(error_kind::not_found,
            fmt::format("CDI device \"{}\" is in no specification of {}", name, list_of(folders_)));
    apply(spec, found->second.devices.at(id));
    apply(spec, std::exchange(found->second.common, {})); // once
}

void cdi_registry::apply(container_spec& spec, const edits& what) {
    spec.env.insert(spec.env.end(), what.env.begin(), what.env.end());
    spec.devices.insert(spec.devices.end(), what.devices.begin(), what.devices.end());
    spec.mounts.insert(spec.mounts.end(), what.mounts.begin(), what.mounts.end());
    spec.hooks.insert(spec.hooks.end(), what.hooks.begin(), what.hooks.end());
    spec.group_add.insert(spec.group_add.end(), what.groups.begin(), what.groups.end());
}

} // namespace engine
