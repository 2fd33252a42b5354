#include "engine/system/identifier.hpp"

#include "engine/system/file.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <cstdint>

namespace engine {

std::string random_identifier() {
    std::array<std::uint8_t, 32> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        throw_errno("read", "random bytes");
    std::string text;
    for (const std::uint8_t byte : bytes)
        text += fmt::format("{:02x}", byte);
    return text;
}

std::string timestamp(std::chrono::system_clock::time_point time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(time - seconds);
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:09}Z",
        fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), rest.count());
}

std::string timestamp_now() {
    return timestamp(std::chrono::system_clock::now());
}

std::string boot_identifier() {
    std::string text = read_file("/proc/sys/kernel/random/boot_id");
    while (text.ends_with('\n'))
        text.pop_back();
    return text;
}

} // namespace engine
