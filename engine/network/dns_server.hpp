#pragma once

#include "engine/network/dns_message.hpp"
#include "engine/system/fd.hpp"
#include "engine/system/task.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

/// What the containers around an asker are called.
struct dns_answer {
    bool known =
        false; // ours: answered here, never forwarded, even when it has no record of the type asked for
    bool absent = false; // ours too, but nobody who is called so runs: NXDOMAIN, and not forwarded
    dns_records records;
    std::vector<std::string> servers; // to ask in place of the host's
    bool may_forward = true; // false on internal networks: the outside is not to be reached, nor its names
};

/// Answers the queries that reach 127.0.0.11 in the containers. Its sockets live in the containers' network
/// namespaces and are held open by the shims: queries sent while there is no daemon wait in the sockets'
/// buffers and are answered by the next one.
///
/// Names that are not ours go to the host's servers (/etc/resolv.conf, read again when it changes), over the
/// transport that the question came by: at most 3 servers, 3 s each, 1,024 in flight, 128 of them of one
/// container, and 8 of each in any case; above that REFUSED.
class dns_server {
  public:
    /// `lookup` is asked on the engine's thread, with the id of the asking container.
    using lookup =
        std::function<dns_answer(const std::string& container, std::uint16_t type, const std::string& name)>;

    dns_server(boost::asio::io_context& io, lookup names);
    ~dns_server();

    /// Answers from now on. Before it the sockets are kept and not read: a daemon that has just started does
    /// not know yet which containers run, and would tell their peers that there are none.
    void start();

    /// The opposite, before this daemon ends: asks nothing outside any more, so that whoever wants that is
    /// answered by the next daemon, and gives the replies that are awaited from there so long to come, for
    /// who asked would wait in vain.
    task<> stop(std::chrono::milliseconds limit);

    /// Serves a container's sockets until remove(); replaces those it had before. Throws when they are no
    /// sockets.
    void add(const std::string& container, unique_fd udp, unique_fd tcp);
    void remove(const std::string& container);

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace engine
