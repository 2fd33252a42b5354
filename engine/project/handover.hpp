#pragma once

#include "compose/model/service.hpp"

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

/// What one container alone can have: its name, the ports of the host that it publishes, the addresses that
/// its file gives it. Another gets them only when it is gone.
class holdings {
  public:
    /// Of a container; without a definition its name is all that is known.
    holdings(std::string name, const compose::service* definition);

    bool clash_with(const holdings& other) const;

  private:
    struct port_span {
        std::string_view protocol;
        unsigned first = 0;
        unsigned last = 0;
    };

    std::string name_;
    std::vector<port_span> ports_; // of whatever address of the host: to wait once too often does no harm
    std::set<std::string_view> addresses_;
};

} // namespace engine
