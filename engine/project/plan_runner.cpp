#include "engine/project/plan_runner.hpp"

#include "engine/system/blocking.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/io_context.hpp>

#include <memory>

namespace engine {

namespace {

enum class progress { waiting, running, succeeded, failed };

struct run {
    run(boost::asio::io_context& io, plan planned, std::function<task<>(step)> how)
        : steps(std::move(planned)), perform(std::move(how)), states(steps.size(), progress::waiting),
          ended(io) {}

    bool ready(std::size_t index) const {
        for (const std::size_t before : steps[index].after)
            if (states[before] != progress::succeeded)
                return false;
        return states[index] == progress::waiting;
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

} // namespace

task<std::vector<step_failure>> run_plan(boost::asio::io_context& io, plan steps,
    std::function<task<>(step)> perform, std::function<bool()> superseded) {
    const auto state = std::make_shared<run>(io, std::move(steps), std::move(perform));
    for (;;) {
        for (std::size_t index = 0; index < state->steps.size() && !superseded(); ++index) {
            if (!state->ready(index))
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
