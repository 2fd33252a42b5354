#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace engine {

/// One image of an archive that is unpacked into a folder. Layers are paths in that folder, lowest first, as
/// they are in the archive: plain or compressed.
struct archived_image {
    std::vector<std::string> names; // as the archive has them; may be empty
    std::string config;             // the document's text
    std::vector<std::string> layers;
};

/// What `docker save` and its kin put into an archive: docker-archive (manifest.json) or an OCI layout
/// (index.json). Throws error{invalid} when the folder holds neither, or a part is missing.
std::vector<archived_image> read_archive(const std::filesystem::path& folder);

} // namespace engine
