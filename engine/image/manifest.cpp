#include "engine/image/manifest.hpp"

#include "compose/model/error.hpp"
#include "engine/image/config.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>

namespace engine {

namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

constexpr std::string_view oci_index = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view oci_manifest = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view docker_list = "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr std::string_view docker_manifest = "application/vnd.docker.distribution.manifest.v2+json";

std::string text_of(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value == nullptr || value->is_null() ? std::string() : std::string(value->as_string());
}

descriptor descriptor_of(const json::value& value) {
    const json::object& object = value.as_object();
    return {.id = digest(std::string_view(object.at("digest").as_string())),
        .size = object.at("size").to_number<std::uint64_t>()};
}

image_index index_of(const json::object& object) {
    image_index index;
    for (const json::value& each : object.at("manifests").as_array()) {
        image_index::entry entry{.manifest = descriptor_of(each)};
        if (const json::value* platform = each.as_object().if_contains("platform")) {
            const json::object& fields = platform->as_object();
            entry.platform = {.os = text_of(fields, "os"),
                .architecture = text_of(fields, "architecture"),
                .variant = text_of(fields, "variant")};
        }
        index.entries.push_back(std::move(entry));
    }
    return index;
}

image_manifest manifest_of(const json::object& object) {
    image_manifest manifest{.config = descriptor_of(object.at("config"))};
    for (const json::value& each : object.at("layers").as_array())
        manifest.layers.push_back(descriptor_of(each));
    if (manifest.layers.size() > most_layers)
        throw error(error_kind::invalid,
            fmt::format("image manifest: {} layers are more than the {} that can be mounted",
                manifest.layers.size(), most_layers));
    return manifest;
}

std::variant<image_manifest, image_index> parse(std::string_view text, std::string_view content_type) {
    const json::value parsed = json::parse(text);
    const json::object& object = parsed.as_object();
    const std::string type = text_of(object, "mediaType");
    content_type = content_type.substr(0, content_type.find(';'));
    // A document that is one thing to us and another to a scanner could hide something from the scanner.
    const bool known = content_type == oci_index || content_type == oci_manifest ||
                       content_type == docker_list || content_type == docker_manifest;
    if (!type.empty() && known && type != content_type)
        throw error(error_kind::invalid,
            fmt::format("image manifest: says \"{}\", was sent as \"{}\"", type, content_type));
    if (object.contains("fsLayers"))
        throw error(error_kind::invalid, "image manifest: schema 1 is not supported; push the image again");
    const bool has_manifests = object.contains("manifests");
    if (has_manifests == object.contains("layers"))
        throw error(error_kind::invalid, "image manifest: must have either layers or manifests");
    if (has_manifests)
        return index_of(object);
    return manifest_of(object);
}

/// How much a variant is to be preferred on a machine of variant `have`; negative: it does not run there.
int rank(const image_platform& offered, const image_platform& have) {
    const auto level = [](const image_platform& platform) {
        if (platform.variant.size() == 2 && platform.variant[0] == 'v' && platform.variant[1] >= '1' &&
            platform.variant[1] <= '9')
            return platform.variant[1] - '0';
        return platform.architecture == "arm" ? 7 : platform.architecture == "arm64" ? 8 : 1;
    };
    if (offered.os != have.os || offered.architecture != have.architecture)
        return -1;
    return level(offered) <= level(have) ? level(offered) : -1;
}

} // namespace

const std::string_view manifest_types =
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

image_platform parse_platform(std::string_view text) {
    std::vector<std::string> parts{""};
    for (const char c : text) {
        if (c == '/')
            parts.emplace_back();
        else
            parts.back() += c;
    }
    const bool whole =
        std::none_of(parts.begin(), parts.end(), [](const std::string& part) { return part.empty(); });
    if (!whole || parts.size() < 2 || parts.size() > 3)
        throw error(error_kind::invalid,
            fmt::format("platform \"{}\": write OS/ARCHITECTURE[/VARIANT], linux/arm64 for instance",
                text.substr(0, 100)));
    return {
        .os = parts[0], .architecture = parts[1], .variant = parts.size() == 3 ? parts[2] : std::string()};
}

namespace {

/// The level of x86-64 (psABI) that this processor has.
std::string x86_variant() {
#if defined(__x86_64__) && !defined(__clang__) // clang knows these names since 17 only
    if (__builtin_cpu_supports("x86-64-v4"))
        return "v4";
    if (__builtin_cpu_supports("x86-64-v3"))
        return "v3";
    if (__builtin_cpu_supports("x86-64-v2"))
        return "v2";
#endif
    return "v1";
}

} // namespace

image_platform host_platform() {
    utsname host{};
    ::uname(&host);
    const std::string_view machine = host.machine;
    if (machine == "x86_64")
        return {.os = "linux", .architecture = "amd64", .variant = x86_variant()};
    if (machine == "aarch64")
        return {.os = "linux", .architecture = "arm64", .variant = "v8"};
    if (machine.starts_with("armv"))
        return {.os = "linux", .architecture = "arm", .variant = fmt::format("v{}", machine.substr(4, 1))};
    if (machine == "i686" || machine == "i386")
        return {.os = "linux", .architecture = "386", .variant = {}};
    return {.os = "linux", .architecture = std::string(machine), .variant = {}};
}

std::string to_string(const image_platform& platform) {
    return platform.variant.empty()
               ? fmt::format("{}/{}", platform.os, platform.architecture)
               : fmt::format("{}/{}/{}", platform.os, platform.architecture, platform.variant);
}

std::variant<image_manifest, image_index> parse_manifest(
    std::string_view text, std::string_view content_type) {
    try {
        return parse(text, content_type);
    } catch (const error&) {
        throw;
    } catch (const std::exception& failure) {
        // Boost.JSON has several: for what is no JSON, of another kind, missing or out of range.
        throw error(error_kind::invalid, fmt::format("image manifest: {}", failure.what()));
    }
}

const image_index::entry& choose(const image_index& from, const image_platform& wanted) {
    const auto best =
        std::max_element(from.entries.begin(), from.entries.end(), [&](const auto& left, const auto& right) {
            return rank(left.platform, wanted) < rank(right.platform, wanted);
        });
    if (best != from.entries.end() && rank(best->platform, wanted) >= 0)
        return *best;
    std::string offered;
    for (const image_index::entry& each : from.entries)
        if (each.platform.os != "unknown") // attestations, not images
            offered += (offered.empty() ? "" : ", ") + to_string(each.platform);
    throw error(error_kind::not_found, fmt::format("there is no image for {}, only for: {}",
                                           to_string(wanted), offered.empty() ? "nothing" : offered));
}

} // namespace engine
