#pragma once

#include "engine/project/container_manager.hpp"
#include "engine/project/plan.hpp"

#include <set>
#include <string>

namespace engine {

/// Before anything is taken down: throws what the steps that make networks, volumes and containers would
/// throw, as far as it is known now. What runs is not given up for what cannot come.
task<> check_outlook(engine_parts parts, compose::project wanted, std::set<std::string> services, plan steps);

} // namespace engine
