#include "engine/container/health.hpp"

#include "compose/model/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace engine {

namespace {

constexpr std::size_t kept_results = 5;
constexpr std::size_t kept_output = 4096; // CVE-2022-31030: never without a bound

/// With '?' for what is no UTF-8.
std::string as_text(std::string_view bytes) {
    std::string text;
    while (!bytes.empty()) {
        const std::size_t size = compose::utf8_size(bytes);
        text += size == 0 ? std::string_view("?") : bytes.substr(0, size);
        bytes.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return text;
}

} // namespace

std::string_view to_string(health_status status) noexcept {
    switch (status) {
    case health_status::none:
        return "none";
    case health_status::starting:
        return "starting";
    case health_status::healthy:
        return "healthy";
    case health_status::unhealthy:
        return "unhealthy";
    }
    return "none";
}

health_state::health_state(health_config config, health_memory so_far)
    : config_(std::move(config)), memory_(so_far) {}

bool health_state::apply(probe_result result, std::chrono::nanoseconds since_start) {
    const health_status before = memory_.status;
    if (result.exit_code == 0) {
        memory_.failing_streak = 0;
        memory_.status = health_status::healthy;
    } else if (memory_.status != health_status::starting || since_start >= config_.start_period) {
        ++memory_.failing_streak;
        if (memory_.failing_streak >= config_.retries)
            memory_.status = health_status::unhealthy;
    }
    result.output = as_text(std::string_view(result.output).substr(0, kept_output));
    log_.push_back(std::move(result));
    if (log_.size() > kept_results)
        log_.pop_front();
    return memory_.status != before;
}

std::chrono::nanoseconds health_state::next_delay(std::chrono::nanoseconds since_start) const noexcept {
    const bool starting = memory_.status == health_status::starting && since_start < config_.start_period;
    return starting ? config_.start_interval : config_.interval;
}

namespace {

constexpr std::size_t told_beginning = 140;
constexpr std::size_t told_end = 80;

/// Of blanks, line ends and control characters in a row one blank stays.
std::string in_one_line(std::string_view text) {
    std::string line;
    for (const char each : text) {
        const auto byte = static_cast<unsigned char>(each);
        if (byte > ' ' && byte != 0x7f)
            line += each;
        else if (!line.empty() && line.back() != ' ')
            line += ' ';
    }
    if (line.ends_with(' '))
        line.pop_back();
    return line;
}

/// In whole characters. The beginning of usage messages says what is wrong, and so does the end of stack
/// traces.
std::string beginning_and_end(const std::string& line) {
    if (line.size() <= told_beginning + told_end)
        return line;
    const auto whole = [&line](std::size_t at) {
        while ((static_cast<unsigned char>(line[at]) & 0xc0U) == 0x80U)
            --at;
        return at;
    };
    return line.substr(0, whole(told_beginning)) + " … " + line.substr(whole(line.size() - told_end));
}

} // namespace

std::string last_failure(const health_state& of) {
    const auto failed = std::find_if(
        of.log().rbegin(), of.log().rend(), [](const probe_result& each) { return each.exit_code != 0; });
    if (failed == of.log().rend())
        return {};
    std::string output = beginning_and_end(in_one_line(failed->output));
    if (failed->exit_code < 0) // it took too long, says the output
        return output;
    return fmt::format("its check exited ({}){}{}", failed->exit_code, output.empty() ? "" : ": ", output);
}

} // namespace engine
