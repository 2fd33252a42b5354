#include "engine/container/health.hpp"

#include "compose/model/error.hpp"
#include "engine/container/exec_output.hpp"
#include "engine/container/process_tree.hpp"
#include "engine/system/blocking.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <random>

namespace engine {

namespace asio = boost::asio;

namespace {

constexpr double jitter = 0.05; // of a delay, so that a hundred services do not probe in one millisecond
constexpr int timed_out = -1;

std::chrono::nanoseconds spread(std::chrono::nanoseconds delay) {
    static std::minstd_rand random{std::random_device{}()};
    std::uniform_real_distribution<double> part(1 - jitter, 1 + jitter);
    return std::chrono::nanoseconds(
        static_cast<std::int64_t>(static_cast<double>(delay.count()) * part(random)));
}

} // namespace

struct health_monitor::implementation : std::enable_shared_from_this<implementation> {
    implementation(executors given, container_runtime& probed, std::string container, health_state so_far,
        std::chrono::system_clock::time_point when, observer told)
        : pools(given), runtime(probed), id(std::move(container)), state(std::move(so_far)),
          changed(std::move(told)), timer(given.io) {
        // Wall time only to place the start on the steady clock once, after a restart of the daemon.
        const auto age = std::chrono::system_clock::now() - when;
        const auto not_negative = std::max(age, std::chrono::system_clock::duration(0));
        started = std::chrono::steady_clock::now() - not_negative;
    }

    std::chrono::nanoseconds since_start() const { return std::chrono::steady_clock::now() - started; }

    void stop() {
        stopped = true;
        timer.cancel();
    }

    static task<> watch(std::shared_ptr<implementation> self) {
        while (!self->stopped) {
            self->timer.expires_after(spread(self->state.next_delay(self->since_start())));
            boost::system::error_code cancelled;
            co_await self->timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
            if (self->stopped || !self->runtime.find(self->id))
                co_return;
            probe_result result;
            try {
                result = co_await probe(self);
            } catch (const compose::error& failure) {
                result.started_at = std::chrono::system_clock::now();
                result.finished_at = result.started_at;
                result.exit_code = failure.kind() == compose::error_kind::not_found ? 127 : 126;
                result.output = failure.what();
            }
            // A container that ended under its probe did not become unhealthy.
            if (self->stopped || !self->runtime.find(self->id))
                co_return;
            const bool status_changed = self->state.apply(std::move(result), self->since_start());
            if (self->changed)
                self->changed(self->state, status_changed);
        }
    }

    // The timeout begins once the process runs: a slow exec is not charged to the probe.
    static task<probe_result> probe(std::shared_ptr<implementation> self) {
        exec_spec spec;
        spec.args = self->state.config().args;
        spec.merge_stderr = true;
        probe_result result;
        exec_session session = co_await self->runtime.exec(self->id, spec);
        result.started_at = std::chrono::system_clock::now();
        exec_output output(self->pools, std::move(session.streams().output), exec_output::kept::beginning);
        std::optional<int> code = co_await session.wait_for(self->state.config().timeout);
        if (!code) {
            const container_cgroup cgroup = self->runtime.cgroup(self->id);
            const pid_t pid = session.pid();
            auto kill = [cgroup, pid] { kill_tree(cgroup, pid); }; // a shell's children would go on for ever
            co_await blocking(self->pools.workers, kill);
            session.signal(SIGKILL);
            co_await session.wait(); // so that dying probes do not pile up
            code = timed_out;
        } else {
            co_await output.await_rest();
        }
        result.finished_at = std::chrono::system_clock::now();
        result.exit_code = *code;
        result.output = output.text();
        if (*code == timed_out)
            result.output = fmt::format("Health check exceeded timeout ({} ms)",
                std::chrono::duration_cast<std::chrono::milliseconds>(self->state.config().timeout).count());
        co_return result;
    }

    executors pools;
    container_runtime& runtime;
    std::string id;
    health_state state;
    observer changed;
    asio::steady_timer timer;
    std::chrono::steady_clock::time_point started;
    bool stopped = false;
};

health_monitor::health_monitor(executors executors, container_runtime& runtime, std::string id,
    health_state so_far, std::chrono::system_clock::time_point started_at, observer changed)
    : implementation_(std::make_shared<implementation>(
          executors, runtime, std::move(id), std::move(so_far), started_at, std::move(changed))) {
    spawn(executors.io, "health of " + implementation_->id.substr(0, 12),
        implementation::watch(implementation_));
}

health_monitor::~health_monitor() {
    if (implementation_)
        implementation_->stop();
}

health_monitor& health_monitor::operator=(health_monitor&& other) noexcept {
    if (this != &other) {
        if (implementation_)
            implementation_->stop();
        implementation_ = std::move(other.implementation_);
    }
    return *this;
}

const health_state& health_monitor::state() const noexcept {
    return implementation_->state;
}

} // namespace engine
