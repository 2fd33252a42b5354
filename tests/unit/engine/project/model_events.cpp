// What a person does to the model's host, and what happens to it by itself.
#include "model_world.hpp"

#include "engine/project/definitions.hpp"
#include "engine/project/plan_steps.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace engine::model {

using compose::dependency_condition;

namespace {

plan to_restart(plan ends) {
    for (step& each : ends)
        each.again = true;
    return ends;
}

/// The scope of what ends, as check_dependents() reads it.
std::set<std::string> to_end(const std::set<std::string>& services) {
    std::set<std::string> scope;
    for (const std::string& name : services)
        scope.insert("end:" + name);
    return scope;
}

} // namespace

bool world::up(
    const std::set<std::string>& services, bool remove_orphans, std::size_t budget, bool carry_on) {
    const auto all = hashes();
    const std::set<std::string> scope = with_dependencies(wanted, services);
    const up_request request{.project = wanted,
        .hashes = all,
        .services = scope,
        .remove_orphans = remove_orphans,
        .carry_on = carry_on,
        .force_recreate = {}};
    return carry_out(plan_up(request, observe()), budget, scope, carry_on);
}

void world::check_nothing_to_do(const std::set<std::string>& services, bool remove_orphans) const {
    const auto all = hashes();
    const up_request request{.project = wanted,
        .hashes = all,
        .services = with_dependencies(wanted, services),
        .remove_orphans = remove_orphans,
        .force_recreate = {}};
    // Starting is due only for what has ended by itself meanwhile or was held back by a condition; what
    // follows its restarts is restarted with it.
    for (const step& each : plan_up(request, observe()))
        if (each.kind != step_kind::start_container && each.kind != step_kind::await_condition &&
            each.reason != "what it depends on is started")
            wrong(fmt::format("up again would {} {}: {}", to_string(each.kind), each.name, each.reason));
    for (const auto& [id, each] : entries)
        if (request.services.contains(each.record.service) &&
            each.record.number > wanted.services.at(each.record.service).scale)
            wrong(each.record.name + " is one too many");
}

bool world::stop(const std::set<std::string>& services, std::size_t budget) {
    return carry_out(plan_stop(wanted, observe(), services, false), budget, to_end(services), false);
}

bool world::start(const std::set<std::string>& services, std::size_t budget) {
    return carry_out(plan_start(wanted, observe(), services), budget, of_starts(), false);
}

bool world::restart(const std::set<std::string>& services, std::size_t budget) {
    std::set<std::string> all = services;
    for (const std::string& name : restarted_with(wanted, services))
        for (const auto& [id, each] : entries)
            if (each.record.service == name && is_up(each.state))
                all.insert(name);
    const plan ends = to_restart(plan_stop(wanted, observe(), all, false));
    if (!carry_out(ends, budget, to_end(all), false))
        return false;
    return carry_out(
        plan_start(wanted, observe(), all), budget - std::min(budget, ends.size()), of_starts(), false);
}

bool world::down(bool with_volumes, std::size_t budget) {
    const down_request request{.project = wanted, .volumes = with_volumes, .remove_orphans = true};
    if (!carry_out(plan_down(request, observe()), budget, to_end(all_services()), false))
        return false;
    if (!entries.empty() || !networks.empty() || (with_volumes && !volumes.empty()))
        wrong("down has left something");
    return true;
}

void world::a_process_ends(int code) {
    std::vector<entry*> running;
    for (auto& [id, each] : entries)
        if (each.state == run_state::running)
            running.push_back(&each);
    if (running.empty())
        return;
    entry& of = *running[pick(static_cast<unsigned>(running.size()))];
    of.should.ended(now, code);
    end(of, code, now);
}

void world::time_passes(milliseconds time) {
    const moment until = now + time;
    start_due(); // what it waited for may be there by now
    for (;;) {
        entry* next = nullptr;
        for (auto& [id, each] : entries)
            if (each.back && *each.back <= until && (next == nullptr || *each.back < *next->back))
                next = &each;
        if (next == nullptr)
            break;
        now = std::max(now, *next->back);
        if (next->should.comes_back != next->back)
            wrong(next->record.name + " does not come back when it should");
        begin(*next, false);
        ++restarts;
        follow(next->record.service);
    }
    now = until;
}

/// What comes back by itself takes along what depends on it with `restart: true`.
void world::follow(const std::string& service) {
    if (!wanted.services.contains(service))
        return;
    std::set<std::string> followers;
    for (const std::string& name : restarted_with(wanted, {service}))
        for (const auto& [id, each] : entries)
            if (each.record.service == name && is_up(each.state))
                followers.insert(name);
    constexpr std::size_t no_end = 1'000'000;
    carry_out(to_restart(plan_stop(wanted, observe(), followers, false)), no_end, to_end(followers), false);
    carry_out(plan_start(wanted, observe(), followers), no_end, of_starts(), false);
}

bool world::depends(const std::string& service) const {
    const auto found = wanted.services.find(service);
    return found != wanted.services.end() && !found->second.depends_on.empty();
}

/// What a former daemon wanted to run and does not is started, in order.
void world::start_due() {
    std::set<std::string> due;
    for (auto& [id, each] : entries)
        if (each.record.wanted && (each.state == run_state::created || each.state == run_state::exited))
            due.insert(id);
    constexpr std::size_t no_end = 1'000'000;
    carry_out(plan_start(wanted, observe(), all_services(), due), no_end, of_starts(), true);
    // What has not been started waits, for a condition that is not fulfilled.
    for (const std::string& id : due)
        if (at(id).state != run_state::running && at(id).should.waits && !depends(at(id).record.service))
            wrong(at(id).record.name + " is due and depends on nothing, and was not started");
}

void world::daemon_dies(bool processes_end) {
    const moment died = now;
    now += milliseconds(pick(3000));
    for (auto& [id, each] : entries) {
        if (each.state == run_state::restarting) { // its timer died with the daemon
            each.state = run_state::exited;
            each.back.reset();
            each.should.daemon_died();
        }
        if (each.state != run_state::running || !processes_end || roll(50))
            continue;
        const int code = static_cast<int>(pick(2));
        const moment ended = died + (now - died) / 2;
        each.should.ended(ended, code);
        end(each, code, ended);
    }
    for (auto& [id, each] : entries)
        if (host_came_back(each.record, now, boot))
            wrong("a daemon that comes back takes it for a boot");
    start_due();
    time_passes(milliseconds(0));
}

void world::power_goes() {
    now += std::chrono::seconds(30);
    boot = fmt::format("boot-{}", ++boots);
    for (auto& [id, each] : entries) {
        if (is_up(each.state))
            each.state = run_state::exited;
        each.back.reset();
        each.should.booted();
        host_came_back(each.record, now, boot);
        if (each.record.wanted != each.should.waits)
            wrong(fmt::format("after a boot {} ({}) is {}wanted", each.record.name, each.should.policy,
                each.should.waits ? "not " : ""));
        if (host_came_back(each.record, now, boot))
            wrong("a boot is decided about twice");
    }
    start_due();
}

void world::shutdown() {
    for (auto& [id, each] : entries)
        if (each.state == run_state::running)
            end(each, static_cast<int>(pick(2)), now, end_cause::shutdown);
        else if (each.state == run_state::restarting)
            each.state = run_state::exited; // and wanted
    power_goes();
}

void world::check() const {
    for (const auto& [id, each] : entries) {
        const std::string& name = each.record.name;
        if ((each.state == run_state::running) != each.should.runs)
            wrong(fmt::format(
                "{} ({}) should {}run", name, each.should.policy, each.should.runs ? "" : "not "));
        if (each.back != each.should.comes_back)
            wrong(fmt::format("{} ({}) should {}come back", name, each.should.policy,
                each.should.comes_back ? "" : "not "));
        if (each.record.history.count != each.should.restarts)
            wrong(fmt::format("{} has been restarted {} times, not {}", name, each.should.restarts,
                each.record.history.count));
        if (each.record.history.manually_stopped != each.should.stopped_by_hand)
            wrong(name + ": whether it was stopped by hand");
        if (each.record.wanted != (each.should.runs || each.should.comes_back || each.should.waits))
            wrong(name + ": what is durable is not what is");
    }
}

} // namespace engine::model
