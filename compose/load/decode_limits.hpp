#pragma once

#include "compose/load/node.hpp"
#include "compose/model/service.hpp"

namespace compose {

/// What a service may use: mem_limit and its kin, devices, ulimits, with deploy.resources over them.
void take_limits(const node& from, service& into);

/// What it shares with the host or with others, and how it is set off from them.
void take_surroundings(const node& from, service& into);

} // namespace compose
