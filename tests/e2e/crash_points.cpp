// The crash points of the daemon that the tests build. Once the file COMPOSED_CRASH_ARM is there, each that
// is passed is written to the file COMPOSED_CRASH_LOG, a line each, and the one whose turn it names (from 1)
// ends the process.
#include "engine/system/crash_point.hpp"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>

#include <unistd.h>

namespace engine {

namespace {

/// The turn that ends the process, 0 for none; nothing while the points are not armed.
std::optional<long> armed() {
    static const char* const file = std::getenv("COMPOSED_CRASH_ARM");
    std::ifstream text(file == nullptr ? "" : file);
    long turn = 0;
    return text >> turn ? std::optional(turn) : std::nullopt;
}

} // namespace

void crash_point(std::string_view name) {
    static std::mutex one_at_a_time;
    static long passed = 0;
    const std::lock_guard turn(one_at_a_time);
    const std::optional<long> ends = armed();
    if (!ends)
        return;
    ++passed;
    std::ofstream(std::getenv("COMPOSED_CRASH_LOG"), std::ios::app) << name << std::endl;
    if (passed == *ends)
        ::kill(::getpid(), SIGKILL);
}

void crash_point(std::string_view name, std::string_view when) {
    crash_point(std::string(name) + " " + std::string(when));
}

} // namespace engine
