#include "engine/project/container_manager_state.hpp"

#include "engine/system/crash_point.hpp"
#include "engine/system/open_connections.hpp"

#include <utility>

// How one container takes the place of another.
namespace engine {

task<> container_manager::take_place(std::string id) {
    implementation& self = *implementation_;
    managed_container& fresh = self.at(id);
    container_record& record = fresh.view.record;
    if (record.place != container_place::coming)
        co_return;
    renamed_container to{.id = id, .before = record.name, .name = record.name};
    renamed_container from{.id = std::exchange(record.replaces, {}), .before = {}, .name = record.name};
    // All of it is in one transaction of the store: nothing here gives way before the network's records are
    // changed as well.
    if (const auto found = self.entries.find(from.id); found != self.entries.end()) {
        container_record& former = found->second->view.record;
        to.name = from.before = std::exchange(former.name, record.name);
        former.place = container_place::leaving;
        self.save(*found->second);
    } else {
        to.name = container_name_of(record.definition, record.service_definition(), record.number);
    }
    record.name = to.name;
    record.place = container_place::own;
    self.save(fresh);
    co_await self.parts.networks.hand_over(from, to);
    self.runtime.accept_clients(id, true);
    self.runtime.accept_clients(from.id, false);
    self.changed.notify_all();
    crash_point("hand over: the shims know it");
}

task<> container_manager::drain(std::string id, std::chrono::nanoseconds limit, std::function<bool()> hurry) {
    implementation& self = *implementation_;
    constexpr auto answers_under_way = std::chrono::seconds(1); // of DNS: who has one comes yet
    constexpr auto look_again = std::chrono::milliseconds(50);  // the kernel tells nobody
    if (!self.entries.contains(id) || !self.at(id).view.run)
        co_return;
    co_await self.parts.networks.hold_back(id);
    self.runtime.accept_clients(id, false);
    const auto begun = std::chrono::steady_clock::now();
    while (self.entries.contains(id) && self.at(id).view.run && !hurry() && !self.closed) {
        const std::chrono::nanoseconds passed = std::chrono::steady_clock::now() - begun;
        if (limit.count() >= 0 && passed >= limit)
            co_return;
        const pid_t shim = self.at(id).view.run->shim;
        auto look = [shim] { return open_connections(shim); };
        if (passed >= answers_under_way && co_await blocking(self.parts.on.workers, look) == 0)
            co_return;
        co_await self.changed.wait_for(look_again);
    }
}

} // namespace engine
