#include "engine/project/container_manager_state.hpp"

#include "compose/model/error.hpp"
#include "engine/project/launch_surroundings.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <system_error>

namespace engine {

namespace {

/// Whether two processes are in one network namespace; also when one of them has just ended, as what is to be
/// done about that is another's business.
bool share_network(pid_t one, pid_t other) {
    std::error_code gone;
    const auto space = [&gone](pid_t pid) {
        std::error_code failed;
        auto link = std::filesystem::read_symlink(fmt::format("/proc/{}/ns/net", pid), failed);
        gone = failed ? failed : gone;
        return link;
    };
    const auto first = space(one);
    const auto second = space(other);
    return gone || first == second;
}

} // namespace

void container_manager::implementation::reattach_guests(const managed_container& started) {
    const auto see = [this](const managed_container& guest, const managed_container& owner) {
        const container_record& record = owner.view.record;
        const std::string& mode = guest.view.record.service_definition().network_mode;
        const std::string name = joined_by(mode);
        const bool meant = mode.starts_with("container:") && guest.view.record.project != record.project &&
                           (name == record.name || (name.size() >= 12 && record.id.starts_with(name)));
        if (meant && !share_network(guest.view.run->pid, owner.view.run->pid))
            spawn(parts.on.io, "reattach " + guest.view.record.name,
                reattach(guest.view.record.id, record.name, guest.view.record.generation));
    };
    for (const auto& [id, each] : entries) {
        if (!each->view.run || each.get() == &started)
            continue;
        see(*each, started);
        see(started, *each); // after a start of the daemon they are heard of in any order
    }
}

task<> container_manager::implementation::reattach(
    std::string guest, std::string owner, std::uint64_t generation) {
    const auto is_meant = [&] {
        const auto found = entries.find(guest);
        return found != entries.end() && found->second->view.record.generation == generation &&
               found->second->view.record.wanted && found->second->view.state == run_state::running;
    };
    if (closed || !is_meant())
        co_return;
    managed_container& of = at(guest);
    announce(of, "Repaired",
        fmt::format(
            "container {}, whose network it has, has begun anew: it is ended and started again", owner));
    of.view.record.comes_again = true;
    save(of);
    co_await parts.records.durable();
    if (is_meant())
        co_await end_run(guest, grace_of(of.view.record));
}

} // namespace engine
