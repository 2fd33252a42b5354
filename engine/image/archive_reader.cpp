#include "engine/image/archive_reader.hpp"

#include "compose/model/error.hpp"
#include "engine/image/byte_source.hpp"
#include "engine/image/digest.hpp"
#include "engine/system/tree_writer.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <array>

namespace engine {

namespace json = boost::json;
using compose::error;
using compose::error_kind;

namespace {

constexpr std::size_t document_limit = 8U << 20U;

std::string read_inside(const std::filesystem::path& folder, const std::string& path) {
    file_source source(open_inside(folder, path), path);
    std::string text;
    std::array<char, 64U << 10U> part{};
    for (std::size_t got = source.read(part); got > 0; got = source.read(part)) {
        text.append(part.data(), got);
        if (text.size() > document_limit)
            throw error(error_kind::exhausted,
                fmt::format("archive: \"{}\" is larger than {} bytes", path, document_limit));
    }
    return text;
}

std::string blob_path(const json::value& descriptor) {
    return "blobs/sha256/" + digest(std::string_view(descriptor.at("digest").as_string())).hex();
}

std::vector<archived_image> read_docker(const std::filesystem::path& folder) {
    std::vector<archived_image> images;
    const json::value manifest = json::parse(read_inside(folder, "manifest.json"));
    for (const json::value& entry : manifest.as_array()) {
        archived_image image;
        const json::object& object = entry.as_object();
        if (const json::value* tags = object.if_contains("RepoTags"); tags != nullptr && !tags->is_null())
            image.names = json::value_to<std::vector<std::string>>(*tags);
        image.config = read_inside(folder, std::string(object.at("Config").as_string()));
        image.layers = json::value_to<std::vector<std::string>>(object.at("Layers"));
        images.push_back(std::move(image));
    }
    return images;
}

std::vector<std::string> names_of(const json::value& descriptor) {
    const json::value* annotations = descriptor.as_object().if_contains("annotations");
    if (annotations == nullptr)
        return {};
    for (const char* key : {"io.containerd.image.name", "org.opencontainers.image.ref.name"})
        if (const json::value* name = annotations->as_object().if_contains(key))
            return {std::string(name->as_string())};
    return {};
}

void read_oci_manifest(const std::filesystem::path& folder, const json::value& descriptor,
    std::vector<std::string> names, std::vector<archived_image>& into, int depth) {
    const json::value manifest = json::parse(read_inside(folder, blob_path(descriptor)));
    if (const json::value* inner = manifest.as_object().if_contains("manifests")) {
        for (const json::value& each : inner->as_array()) {
            const json::value* platform = each.as_object().if_contains("platform");
            const bool attestation =
                platform != nullptr && platform->at("architecture").as_string() == "unknown";
            if (depth < 4 && !attestation)
                read_oci_manifest(folder, each, names, into, depth + 1);
        }
        return;
    }
    archived_image image;
    image.names = std::move(names);
    image.config = read_inside(folder, blob_path(manifest.at("config")));
    for (const json::value& layer : manifest.at("layers").as_array())
        image.layers.push_back(blob_path(layer));
    into.push_back(std::move(image));
}

std::vector<archived_image> read_oci(const std::filesystem::path& folder) {
    std::vector<archived_image> images;
    const json::value index = json::parse(read_inside(folder, "index.json"));
    for (const json::value& each : index.at("manifests").as_array())
        read_oci_manifest(folder, each, names_of(each), images, 0);
    return images;
}

} // namespace

std::vector<archived_image> read_archive(const std::filesystem::path& folder) {
    try {
        // An archive of a newer docker has both; manifest.json names the tags in full.
        if (std::filesystem::exists(folder / "manifest.json"))
            return read_docker(folder);
        if (std::filesystem::exists(folder / "index.json"))
            return read_oci(folder);
    } catch (const error&) {
        throw;
    } catch (const std::exception& failure) {
        // Boost.JSON has several: for what is no JSON, of another kind, missing or out of range.
        throw error(error_kind::invalid, fmt::format("archive: its index is broken: {}", failure.what()));
    }
    throw error(error_kind::invalid, "archive: neither manifest.json nor index.json is in it; make one with "
                                     "`docker save` or `skopeo copy … "
                                     "oci-archive:FILE`");
}

} // namespace engine
