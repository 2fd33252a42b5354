#include "compose/load/check.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string_view>

namespace compose {

namespace {

void check_hooks(std::string_view key, const std::vector<hook>& all, const report_fault& fail) {
    for (std::size_t at = 0; at < all.size(); ++at)
        if (all[at].command.empty() || all[at].command.front().empty())
            fail(fmt::format("{}[{}].command", key, at), "is empty; say what to run in the container");
}

/// Nothing means the default there, as in Docker, whose least it is too.
void check_probe_times(const healthcheck& of, const report_fault& fail) {
    constexpr auto least = std::chrono::milliseconds(1);
    for (const auto& [key, time] : {std::pair("interval", &of.interval), std::pair("timeout", &of.timeout),
             std::pair("start_period", &of.start_period), std::pair("start_interval", &of.start_interval)})
        if (*time && **time != time->value().zero() && **time < least)
            fail(fmt::format("healthcheck.{}", key), "cannot be less than 1ms");
}

/// What is of this engine alone has no other schema: a misspelt key would do nothing, and nobody would know.
void check_own_keys(
    const extensions& extra, const std::set<std::string_view>& known, const report_fault& fail) {
    namespace json = boost::json;
    const auto found = extra.find("x-composed");
    if (found == extra.end())
        return;
    const json::value parsed = json::parse(found->second);
    const json::object* all = parsed.if_object();
    if (all == nullptr) {
        fail("x-composed", "must be a mapping");
        return;
    }
    for (const json::key_value_pair& each : *all) {
        const std::string path = fmt::format("x-composed.{}", std::string_view(each.key()));
        if (!known.contains(each.key()))
            fail(path, fmt::format("is not known; there are {}", fmt::join(known, ", ")));
        else if (each.key() == "restart-unhealthy" && !each.value().is_bool())
            fail(path, "must be true or false, without quotes");
    }
}

} // namespace

void check_life_cycle(const service& of, const report_fault& fail) {
    check_hooks("post_start", of.post_start, fail);
    check_hooks("pre_stop", of.pre_stop, fail);
    if (of.health)
        check_probe_times(*of.health, fail);
    for (const auto& [key, time] :
        {std::pair("delay", &of.restart.delay), std::pair("window", &of.restart.window)})
        if (time->value_or(std::chrono::nanoseconds(0)) < std::chrono::nanoseconds(0))
            fail(fmt::format("deploy.restart_policy.{}", key), "cannot be less than nothing");
    check_own_keys(of.extra, {"schedule", "missed", "overlap", "restart-unhealthy"}, fail);
}

void check_own_keys_of_project(const project& of, const report_fault& fail) {
    check_own_keys(of.extra, {"restart-unhealthy"}, fail);
}

} // namespace compose
