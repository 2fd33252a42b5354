#pragma once

#include "compose/model/limits.hpp"
#include "engine/container/launch.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace engine {

/// What the vendors of devices say that a container needs for each: the Container Device Interface
/// (github.com/cncf-tags/container-device-interface, SPEC.md 0.8), files *.yaml and *.json of their folders.
class cdi_registry {
  public:
    /// Reads the folders; in later ones stands what wins. A file that is none is passed over, with a warning
    /// in the log. Blocks.
    explicit cdi_registry(const std::vector<std::filesystem::path>& folders);

    /// The devices that a request means: driver «cdi» names them in full; else the vendor is DRIVER.com, or
    /// the first that there is with the class of a capability (gpu), and devices are told by id or number.
    /// Throws error{not_found} saying what is missing.
    std::vector<std::string> names_of(const compose::device_request& wanted) const;

    /// Adds to `spec` what the device NAME (vendor.com/class=name) needs: nodes, mounts, variables, hooks,
    /// groups. Throws error{not_found}.
    void add(container_spec& spec, const std::string& name);

  private:
    struct edits {
        std::vector<std::string> env;
        std::vector<device_access> devices;
        std::vector<container_mount> mounts;
        std::vector<oci_hook> hooks;
        std::vector<std::string> groups;
    };
    struct kind {
        edits common; // for whoever has any of its devices
        std::map<std::string, edits> devices;
    };
    struct parser;

    static void apply(container_spec& spec, const edits& what);
    void read(const std::filesystem::path& file);

    std::vector<std::filesystem::path> folders_;
    std::map<std::string, kind> kinds_; // by vendor.com/class
};

} // namespace engine
