#pragma once

#include "engine/system/task.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace engine {

/// What has changed on the host since the last look.
struct network_change {
    bool links = false;    // an interface of ours, its address, or the bridge it is under
    bool firewall = false; // our nftables table, by another program than this one
    bool others = false;   // a table of another program that may filter packets of IP
    bool lost = false;     // there was more than could be heard: our table may have changed as well
};

/// Hears from the kernel what becomes of network interfaces and of one nftables table (rtnetlink(7);
/// NFNLGRP_NFTABLES), in the network namespace it was made in. Of interfaces it tells the program's own
/// changes as well. When notices of interfaces were lost, they count as changed.
class network_watch {
  public:
    /// `table`: of the family ip. `is_ours`: by an interface's name. Throws error when the kernel refuses.
    network_watch(
        boost::asio::io_context& io, std::string table, std::function<bool(std::string_view)> is_ours);
    ~network_watch();

    /// Resumes when something has changed.
    task<network_change> changed();

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace engine
