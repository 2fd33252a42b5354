#pragma once

#include "engine/image/config.hpp"
#include "engine/image/digest.hpp"
#include "engine/system/blocking.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace engine {

class store;

struct image_settings {
    std::map<std::string, std::vector<std::string>> mirrors; // of a registry, asked before it
    std::set<std::string> insecure;                          // HOST:PORT that may be asked without TLS
};

/// An image whose layers are all here.
struct image {
    std::string id;                 // sha256:… of its configuration document
    std::vector<std::string> names; // as people write them, in order
    image_config config;
    std::vector<digest> layers; // diff ids, lowest first
    std::uint64_t size = 0;     // bytes, unpacked
    std::string created;
    std::string platform;
};

/// Whether it is for a platform as people write it; an empty one is any.
bool is_for(const image& picture, const std::string& platform);

struct pull_options {
    std::string platform; // os/arch; empty: this host's
};

/// How far one layer is, and the image with it; in bytes as the registry sends them.
struct pull_progress {
    std::string layer; // the first digits of its digest
    std::string state; // downloading, extracting, done, exists
    std::uint64_t current = 0;
    std::uint64_t total = 0;
    std::uint64_t image_current = 0; // over all layers that were not here yet
    std::uint64_t image_total = 0;
};

using pull_progress_callback = std::function<void(const pull_progress&)>;

/// The images of this engine. Owns FOLDER: layers/DIFF_ID are unpacked layers, each by itself; tmp-* is half
/// made and removed at start. Records (table::image): "image:ID" with the configuration document and
/// "name:NAME" with an id. An image is recorded only when all its layers are on disk for good, so a power cut
/// leaves none that is half there. Engine state: used on the engine's thread only.
class image_store {
  public:
    image_store(executors on, store& records, std::filesystem::path folder, image_settings settings = {});
    ~image_store();

    /// By name, id, or the beginning of an id of at least 12 digits.
    std::optional<image> find(const std::string& name_or_id) const;
    std::vector<image> list() const;

    /// When the name was last given, by a pull or a load; nothing for one that is not here.
    std::optional<std::chrono::system_clock::time_point> named_at(const std::string& reference) const;

    /// For overlayfs, topmost first.
    std::vector<std::filesystem::path> layer_folders(const image& of) const;

    /// Fetches an image and gives it its name. Throws error{not_found} when the registry has none of that
    /// name, error{unauthorized} when it wants credentials, error{unavailable} when it cannot be reached.
    task<image> pull(std::string reference, pull_options options, pull_progress_callback progress);

    /// Its full name with the digest that the registry has for it now. Throws as pull().
    task<std::string> resolve(std::string reference);

    /// Takes in the images of an archive; gives their names, or ids where they have none.
    task<std::vector<std::string>> load_archive(std::filesystem::path file);

    /// Takes a name away, and with the last name the image and the layers that no other has. Throws
    /// error{conflict} while its id is in `used`, error{not_found}.
    task<> remove(std::string name_or_id, std::set<std::string> used);

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace engine
