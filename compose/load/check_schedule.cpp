#include "compose/load/check.hpp"

#include "compose/model/cron.hpp"
#include "compose/model/error.hpp"
#include "compose/model/nearest.hpp"

#include <fmt/format.h>

namespace compose {

void check_schedule(const project& in, const service& of, const report_fault& fail) {
    for (const auto& [name, how] : of.depends_on)
        if (const auto other = in.services.find(name);
            other != in.services.end() && other->second.scheduled && name != of.name)
            fail("depends_on." + name,
                fmt::format(
                    "service \"{}\" runs by its schedule, so nothing can wait for it or rely on it", name));
    if (!of.scheduled)
        return;
    try {
        cron::parse(of.scheduled->when);
    } catch (const error& failure) {
        fail("x-composed.schedule", failure.what());
    }
    const std::string& missed = of.scheduled->missed;
    if (!missed.empty() && missed != "run-once" && missed != "skip")
        fail("x-composed.missed", fmt::format("{:?} is not known; there are run-once and skip{}", missed,
                                      did_you_mean(missed, {"run-once", "skip"})));
    const std::string& overlap = of.scheduled->overlap;
    if (!overlap.empty() && overlap != "skip" && overlap != "replace")
        fail("x-composed.overlap", fmt::format("{:?} is not known; there are skip and replace{}", overlap,
                                       did_you_mean(overlap, {"skip", "replace"})));
    if (of.scale != 1)
        fail("scale", "one container runs by the schedule; leave scale out");
    if (of.restart.mode != restart_mode::no)
        fail("restart", "the schedule says when it runs again; leave restart out");
}

} // namespace compose
