#pragma once

#include "engine/container/launch.hpp"
#include "engine/image/config.hpp"
#include "engine/project/container_record.hpp"
#include "engine/system/task.hpp"

namespace engine {

/// What the service's `logging` comes to for this container: the driver's defaults (`defaults`: those of
/// json-file), labels, environment and tag with their values. Throws error{invalid} naming the option.
log_options log_options_of(const container_record& record, const image_config& image, log_options defaults);

/// Resolves the host that the lines go to, and looks whether the socket is there. Throws error{unavailable}
/// naming the key: who asks for lines to go there is not to find out later that they have not.
task<> reach_log_target(log_target& target, const container_record& record);

} // namespace engine
