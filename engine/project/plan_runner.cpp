#include "engine/project/plan_runner.hpp"

#include "engine/system/blocking.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <initializer_list>
#include <memory>

namespace engine {

namespace {

enum class progress { waiting, running, succeeded, failed, left_out };

struct run {
    run(boost::asio::io_context& io, plan planned, std::function<task<>(step)> how)
        : steps(std::move(planned)), perform(std::move(how)), states(steps.size(), progress::waiting),
          ended(io) {}

    bool any_before(std::size_t index, std::initializer_list<progress> in) const {
        const std::vector<std::size_t>& before = steps[index].after;
        return std::any_of(before.begin(), before.end(),
            [&](std::size_t each) { return std::find(in.begin(), in.end(), states[each]) != in.end(); });
    }

    plan steps;
    std::function<task<>(step)> perform;
    std::vector<progress> states;
    std::vector<step_failure> failures;
    notifier ended;
    std::size_t running = 0;
};

task<> run_step(std::shared_ptr<run> of, std::size_t index) {
    const step what = of->steps[index];
    std::exception_ptr failure;
    try {
        co_await of->perform(what);
    } catch (...) {
        failure = std::current_exception();
    }
    of->states[index] = failure ? progress::failed : progress::succeeded;
    if (failure)
        of->failures.push_back({.what = what, .why = failure});
    --of->running;
    of->ended.notify_all();
}

/// It judges what has become of its batch, failures included; but it says nothing of one that never began.
bool has_nothing_to_judge(const run& of, const step& what) {
    bool any = false;
    for (const std::size_t before : what.after) {
        const progress state = of.states[before];
        if (of.steps[before].kind == step_kind::watch_update &&
            (state == progress::failed || state == progress::left_out))
            return true;
        any = any || (of.steps[before].update && state != progress::left_out &&
                         of.steps[before].kind != step_kind::watch_update);
    }
    return !any;
}

/// Settles a step that can never begin. Whether it did.
bool settle(run& of, std::size_t index, const std::function<void(const step&)>& lapsed) {
    if (!of.any_before(index, {progress::failed, progress::left_out}))
        return false;
    const step& what = of.steps[index];
    if (what.kind == step_kind::watch_update && !has_nothing_to_judge(of, what))
        return false;
    const bool optional = what.kind == step_kind::await_condition && !what.required;
    of.states[index] = optional ? progress::succeeded : progress::left_out;
    if (optional)
        lapsed(what);
    return true;
}

} // namespace

task<std::vector<step_failure>> run_plan(boost::asio::io_context& io, plan steps,
    std::function<task<>(step)> perform, std::function<void(const step&)> lapsed,
    std::function<bool()> superseded) {
    const auto state = std::make_shared<run>(io, std::move(steps), std::move(perform));
    for (;;) {
        // In the plan's order, so one pass takes what follows a failed step with it.
        for (std::size_t index = 0; index < state->steps.size() && !superseded(); ++index) {
            if (state->states[index] != progress::waiting || settle(*state, index, lapsed) ||
                state->any_before(index, {progress::waiting, progress::running}))
                continue;
            state->states[index] = progress::running;
            ++state->running;
            spawn(io, "step", run_step(state, index));
        }
        if (state->running == 0)
            break;
        co_await state->ended.wait();
    }
    co_return std::move(state->failures);
}

} // namespace engine
