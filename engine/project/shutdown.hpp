#pragma once

#include "engine/project/plan.hpp"

#include <chrono>
#include <vector>

namespace engine {

/// For each step of a plan that ends containers: its own grace period and those of the longest chain of steps
/// that wait for it. `graces`: of each step, none negative. Pure.
std::vector<std::chrono::nanoseconds> chains_of(
    const plan& steps, const std::vector<std::chrono::nanoseconds>& graces);

/// How much of its grace period a step has when `left` is left for its whole chain: all of it where that is
/// enough, else its share, so that a slow dependent does not take a database's time to end in order. Pure.
std::chrono::nanoseconds share_of(
    std::chrono::nanoseconds grace, std::chrono::nanoseconds chain, std::chrono::nanoseconds left);

} // namespace engine
