#include "engine/project/failure_log.hpp"

#include "engine/container/logs.hpp"
#include "engine/project/container_manager.hpp"

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <utility>

namespace engine {

std::string with_lines(std::string text, const std::vector<std::string>& lines) {
    if (!lines.empty())
        text += "; the last lines of its log:";
    for (const std::string& line : lines)
        text += "\n    " + line;
    return text;
}

task<std::string> with_last_lines(
    executors on, container_manager& containers, std::string container, std::string text) {
    constexpr std::size_t lines_told = 5;
    std::filesystem::path file = containers.runtime().log_file(container);
    const std::vector<std::string> lines = co_await last_lines(on, std::move(file), lines_told);
    co_return with_lines(std::move(text), lines);
}

} // namespace engine
