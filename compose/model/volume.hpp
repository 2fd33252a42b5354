#pragma once

#include <map>
#include <string>

namespace compose {

/// A named volume of the project (`volumes.KEY`).
struct volume {
    std::string name; // on the host: PROJECT_KEY unless `name:` or `external:` says otherwise
    bool external = false;
    std::string driver; // empty: local
    std::map<std::string, std::string> driver_opts;
    std::map<std::string, std::string> labels;

    bool operator==(const volume&) const = default;
};

} // namespace compose
