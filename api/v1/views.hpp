#pragma once

#include "api/http/exchange.hpp"
#include "engine/project/container_manager.hpp"
#include "engine/project/event.hpp"
#include "engine/project/plan.hpp"
#include "engine/project/project_manager.hpp"

#include <boost/json/fwd.hpp>

#include <exception>
#include <set>
#include <string>

namespace api {

struct daemon_parts;

/// Engine values as the JSON that openapi.yaml describes.
boost::json::object view_of(const engine::event& what);
boost::json::object view_of(const engine::step& what);
boost::json::object view_of(const engine::container_view& container, const daemon_parts& parts);

/// The container that {container} of the route names, by id or name. Throws error{not_found}.
const engine::container_view& container_of(const exchange& request, const daemon_parts& parts);

/// Throws error{not_found} for a service that the project neither declares nor has a container of.
void require_services(const daemon_parts& parts, const std::string& project, std::set<std::string> services);

/// {"kind": …, "message": …} of whatever was thrown.
boost::json::object error_view(const std::exception_ptr& failure);

/// One line of an application/x-ndjson stream.
std::string line_of(const boost::json::object& value);

/// Values by move: they are built before the reply begins.
engine::task<> send_json(exchange& request, int status, boost::json::object value);
engine::task<> send_json(exchange& request, int status, boost::json::array value);

constexpr const char* json_lines = "application/x-ndjson";

/// Streams the events of an operation's project until it is done, then {"done": true} or {"error": …}. A
/// client that goes away ends the stream, not the operation. `first` is sent before them when it is not
/// empty.
engine::task<> stream_operation(exchange& request, daemon_parts parts,
    std::shared_ptr<engine::operation> under_way, boost::json::object first);

} // namespace api
