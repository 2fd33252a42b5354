#include "engine/network/network_manager_state.hpp"

#include "engine/system/crash_point.hpp"

#include <algorithm>
#include <utility>

namespace engine {

void network_manager::implementation::rename(attachment& of, const renamed_container& to) {
    called.remove(of);
    for (endpoint& each : of.endpoints)
        std::replace(each.aliases.begin(), each.aliases.end(), to.before, to.name);
    called.add(of);
}

task<> network_manager::hand_over(renamed_container from, renamed_container to) {
    implementation& self = *implementation_;
    std::string commands;
    std::vector<firewall_port> moved;
    // The one who had the place may be gone by now, or run no more: then there is nothing to close.
    if (const auto former = self.attachments.find(from.id); former != self.attachments.end()) {
        if (self.running.contains(from.id))
            moved = self.firewall_ports(former->second);
        commands += self.rules.removing(moved);
        former->second.held_back = true;
        self.rename(former->second, from);
        self.store_.put(table::lease, from.id, encode(former->second));
    }
    if (const auto next = self.attachments.find(to.id); next != self.attachments.end()) {
        next->second.held_back = false;
        self.rename(next->second, to);
        self.store_.put(table::lease, to.id, encode(next->second));
        std::vector<firewall_port> opened;
        if (self.running.contains(to.id))
            opened = self.firewall_ports(next->second);
        commands += self.rules.adding(opened);
        moved.insert(moved.end(), opened.begin(), opened.end());
    }
    // In the order of the records: what changes them later joins the table's changes later.
    const auto change = self.join(commands);
    co_await self.store_.durable();
    crash_point("hand over: it is durable");
    if (commands.empty())
        co_return;
    co_await self.change_rules(change);
    crash_point("hand over: the ports lead to the new one");
    co_await self.turn_flows(moved);
}

task<> network_manager::hold_back(std::string container) {
    implementation& self = *implementation_;
    const auto found = self.attachments.find(container);
    if (found == self.attachments.end() || !self.running.contains(container))
        co_return;
    const std::vector<firewall_port> ports = self.firewall_ports(found->second);
    self.draining.insert(container);
    if (!ports.empty())
        co_await self.change_rules(self.join(self.rules.removing(ports)));
}

bool network_manager::is_held_back(const std::string& container) const {
    const auto found = implementation_->attachments.find(container);
    return found != implementation_->attachments.end() && implementation_->is_held_back(found->second);
}

} // namespace engine
