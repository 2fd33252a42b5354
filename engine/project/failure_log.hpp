#pragma once

#include "engine/system/blocking.hpp"
#include "engine/system/task.hpp"

#include <string>
#include <vector>

namespace engine {

class container_manager;

/// `text` with the last lines of a container's log below it, where there are any. Pure.
std::string with_lines(std::string text, const std::vector<std::string>& lines);

/// The same with what there is of the container's log: whoever reads that it failed wants to know why.
task<std::string> with_last_lines(
    executors on, container_manager& containers, std::string container, std::string text);

} // namespace engine
