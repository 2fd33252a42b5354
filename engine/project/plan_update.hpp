#pragma once

#include "engine/project/plan.hpp"
#include "engine/project/plan_steps.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace engine {

/// A container that makes way for a new one.
struct replaced_container {
    const observed_container* old = nullptr;
    std::string reason;
    const observed_container* coming = nullptr; // made for its place by an `up` that was cut short
};

/// The containers of a service that are replaced batch by batch (deploy.update_config), and what that waits
/// for.
struct service_update {
    const compose::project& project;
    const compose::service& service;
    const compose::update_policy& policy;
    std::vector<replaced_container> containers;
    bool start_first = false;        // of those that run: start_first_obstacle() has nothing against it
    std::string image = {};          // id; empty: what the reference means
    std::vector<std::size_t> needs;  // steps after which one can be made
    std::vector<std::size_t> gates;  // steps after which one can be started
    std::vector<std::size_t> before; // steps before the first batch
};

/// How many are replaced at a time, for each batch: `parallelism` of them, 0 all at once.
std::vector<std::size_t> batches_of(std::size_t count, const compose::update_policy& policy);

/// Why the old and the new container of a service cannot be there at the same time: what only one can have.
/// Empty when they can.
std::string start_first_obstacle(const compose::service& before, const compose::service& after);

/// Adds its steps, each batch after the one before has been judged (step_kind::watch_update). Gives the last.
std::size_t add_update(plan_steps& steps, const service_update& what);

} // namespace engine
