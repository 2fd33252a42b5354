#pragma once

#include "engine/project/plan.hpp"
#include "engine/system/task.hpp"

#include <exception>
#include <functional>
#include <vector>

namespace engine {

/// A step that failed, and why.
struct step_failure {
    step what;
    std::exception_ptr why;
};

/// Runs the steps of a plan, each as soon as those before it have succeeded, independent ones at the same
/// time. What waits for a failed step is left out; the others go on. A condition that is not required is no
/// obstacle when the steps before it fail: `lapsed` is told of it in place of performing it. What judges an
/// update begins when all before it has ended, however. When `superseded` turns true nothing new begins.
/// Returns when all that began has ended. Requires: `steps[i].after` names earlier steps only, as every
/// plan_* gives it.
task<std::vector<step_failure>> run_plan(boost::asio::io_context& io, plan steps,
    std::function<task<>(step)> perform, std::function<void(const step&)> lapsed,
    std::function<bool()> superseded);

} // namespace engine
