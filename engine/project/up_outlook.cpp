#include "engine/project/up_outlook.hpp"

#include "engine/network/network_manager.hpp"
#include "engine/project/definitions.hpp"
#include "engine/project/naming_files.hpp"
#include "engine/volume/volume_store.hpp"

#include <boost/asio/awaitable.hpp>

#include <algorithm>
#include <utility>

namespace engine {

namespace {

bool takes_down(const step& what) {
    return what.kind == step_kind::stop_container || what.kind == step_kind::remove_container ||
           what.kind == step_kind::remove_network;
}

} // namespace

task<> check_outlook(
    engine_parts parts, compose::project wanted, std::set<std::string> services, plan steps) {
    if (std::none_of(steps.begin(), steps.end(), takes_down))
        co_return;
    network_outlook networks;
    for (const step& each : steps)
        if (each.kind == step_kind::remove_network)
            networks.removed.insert(each.name);
        else if (each.kind == step_kind::create_network)
            networks.made.push_back(network_of(wanted, each.key));
        else if (each.kind == step_kind::create_volume)
            check_volume(volume_of(wanted, each.key));
    networks.endpoints = fixed_endpoints(wanted, services);
    if (!networks.made.empty() || !networks.endpoints.empty())
        co_await parts.networks.check(std::move(networks));
}

} // namespace engine
