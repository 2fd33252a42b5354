#pragma once

#include "compose/model/content.hpp"
#include "compose/model/network.hpp"
#include "compose/model/service.hpp"
#include "compose/model/volume.hpp"

#include <map>
#include <string>
#include <vector>

namespace compose {

/// A stack as its Compose files mean it: merged, interpolated, every short form written out, every path
/// absolute, every name given. The one value that travels from the loader through the API to the engine.
struct project {
    std::string name;
    std::string working_dir;               // absolute; what relative paths were resolved against
    std::vector<std::string> config_files; // absolute; empty when the project did not come from files
    std::map<std::string, service> services;
    std::map<std::string, service> disabled_services; // in the files, but none of their profiles is on
    std::map<std::string, network> networks;
    std::map<std::string, volume> volumes;
    std::map<std::string, content_source> secrets;
    std::map<std::string, content_source> configs;
    extensions extra; // top-level x-*, each as JSON text

    bool operator==(const project&) const = default;
};

} // namespace compose
