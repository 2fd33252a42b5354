#include "compose/load/check.hpp"

#include "compose/model/nearest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace compose {

namespace {

void check_policy(
    const std::string& key, const update_policy& of, bool may_roll_back, const report_fault& fail) {
    const std::string& action = of.failure_action;
    std::vector<std::string_view> known{"pause", "continue"};
    if (may_roll_back)
        known.emplace_back("rollback");
    if (!action.empty() && std::find(known.begin(), known.end(), action) == known.end())
        fail(key + ".failure_action",
            fmt::format("\"{}\" is not known; there are {}{}", action,
                may_roll_back ? "pause, continue and rollback" : "pause and continue",
                did_you_mean(action, known)));
    if (!(of.max_failure_ratio >= 0 && of.max_failure_ratio <= 1))
        fail(key + ".max_failure_ratio",
            fmt::format(
                "{} is no share of the containers; write a number from 0 to 1", of.max_failure_ratio));
    if (of.delay < of.delay.zero() || monitor_of(of) < of.delay.zero())
        fail(key, "a delay and a monitor cannot be less than nothing");
}

} // namespace

void check_update(const service& of, const report_fault& fail) {
    if (of.update)
        check_policy("deploy.update_config", *of.update, true, fail);
    if (of.rollback)
        check_policy("deploy.rollback_config", *of.rollback, false, fail);
}

} // namespace compose
