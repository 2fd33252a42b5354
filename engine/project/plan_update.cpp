#include "engine/project/plan_update.hpp"

#include "engine/project/handover.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace engine {

namespace {

constexpr unsigned at_a_time = 1; // Docker's default

/// A batch while its steps are added.
class batch_planner {
  public:
    batch_planner(plan_steps& steps, const service_update& what, std::vector<std::size_t> before)
        : steps_(steps), what_(what), before_(std::move(before)) {}

    void replace(const replaced_container& which) {
        numbers_.push_back(which.old->number);
        // What does not run has nothing to lose by going first.
        if (which.coming != nullptr || (what_.start_first && is_up(which.old->state)))
            start_first(which);
        else
            stop_first(which);
    }

    std::size_t judge(std::size_t planned, bool last) {
        added_.insert(added_.begin(), before_.begin(), before_.end());
        return steps_.add({.kind = step_kind::watch_update,
            .name = what_.service.name,
            .service = what_.service.name,
            .reason = "updated",
            .update = true,
            .numbers = std::move(numbers_),
            .planned = planned,
            .last = last,
            .policy = what_.policy,
            .after = std::move(added_)});
    }

  private:
    std::size_t add(step next) {
        next.update = true;
        added_.push_back(steps_.add(std::move(next)));
        return added_.back();
    }

    /// A step about a container of that number.
    step about(const replaced_container& which, step_kind kind, const std::string& beside,
        std::vector<std::size_t> after) const {
        return {.kind = kind,
            .name = container_name_of(what_.project, what_.service, which.old->number),
            .service = what_.service.name,
            .number = which.old->number,
            .reason = which.reason,
            .replaces = beside,
            .after = std::move(after)};
    }

    void start_first(const replaced_container& which) {
        std::vector<std::size_t> ready = before_;
        if (which.coming == nullptr)
            ready = {create(which, which.old->id, before_)};
        if (which.coming == nullptr || !is_up(which.coming->state))
            ready = {start(which, which.old->id, ready)};
        ready = {add(about(which, step_kind::await_container, which.old->id, ready))};
        ready = {add(about(which, step_kind::take_place, which.old->id, ready))};
        remove(which, which.old->id, ready);
    }

    void stop_first(const replaced_container& which) {
        const std::size_t gone = remove(which, {}, before_);
        const std::size_t made = create(which, {}, {gone});
        const std::size_t started = start(which, {}, {made});
        add(about(which, step_kind::await_container, {}, {started}));
    }

    std::size_t create(
        const replaced_container& which, const std::string& beside, std::vector<std::size_t> after) {
        after.insert(after.end(), what_.needs.begin(), what_.needs.end());
        step next = about(which, step_kind::create_container, beside, std::move(after));
        next.image = what_.image;
        return add(std::move(next));
    }

    std::size_t start(
        const replaced_container& which, const std::string& beside, std::vector<std::size_t> after) {
        after.insert(after.end(), what_.gates.begin(), what_.gates.end());
        step next = about(which, step_kind::start_container, beside, std::move(after));
        if (which.coming != nullptr)
            next.container = which.coming->id;
        return add(std::move(next));
    }

    /// The old one, once its connections have ended where others take them.
    std::size_t remove(
        const replaced_container& which, const std::string& beside, std::vector<std::size_t> after) {
        if (is_up(which.old->state) || which.old->due) {
            step stop = about(which, step_kind::stop_container, beside, std::move(after));
            stop.container = which.old->id;
            stop.drain = !beside.empty() || what_.service.scale > 1;
            after = {add(std::move(stop))};
        }
        step gone = about(which, step_kind::remove_container, beside, std::move(after));
        gone.container = which.old->id;
        gone.replaced = true; // also by one that a former daemon has made
        return add(std::move(gone));
    }

    plan_steps& steps_;
    const service_update& what_;
    std::vector<std::size_t> before_;
    std::vector<std::size_t> added_;
    std::vector<unsigned> numbers_;
};

} // namespace

std::vector<std::size_t> batches_of(std::size_t count, const compose::update_policy& policy) {
    const std::size_t wanted = policy.parallelism.value_or(at_a_time);
    const std::size_t most = wanted == 0 ? count : wanted;
    std::vector<std::size_t> sizes;
    for (std::size_t left = count; left > 0; left -= sizes.back())
        sizes.push_back(std::min(left, most));
    return sizes;
}

std::string start_first_obstacle(const compose::service& before, const compose::service& after) {
    if (!after.container_name.empty())
        return "it has a container_name";
    if (!after.mac_address.empty())
        return "it has a mac_address";
    const std::string& mode = after.network_mode;
    if (mode == "host" || mode.starts_with("service:") || mode.starts_with("container:"))
        return fmt::format("both would be in the network of network_mode {}", mode);
    for (const auto& [key, how] : after.networks)
        if (!how.ipv4_address.empty() || !how.ipv6_address.empty() || !how.mac_address.empty() ||
            !how.link_local_ips.empty())
            return fmt::format("it has an address of its own on network {}", key);
    if (before.ports != after.ports && holdings({}, &before).clash_with(holdings("-", &after)))
        return "its ports have changed and are in the way of one another";
    return {};
}

std::size_t add_update(plan_steps& steps, const service_update& what) {
    std::vector<std::size_t> before = what.before;
    std::size_t done = 0;
    for (const std::size_t size : batches_of(what.containers.size(), what.policy)) {
        batch_planner batch(steps, what, before);
        for (const std::size_t end = done + size; done < end; ++done)
            batch.replace(what.containers[done]);
        before = {batch.judge(what.containers.size(), done == what.containers.size())};
    }
    return before.front();
}

} // namespace engine
