#include "engine/project/update_watch.hpp"

#include "compose/model/error.hpp"
#include "engine/container/logs.hpp"
#include "engine/project/dependency_verdict.hpp"
#include "engine/project/failure_log.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

constexpr std::size_t lines_told = 10;

std::string reason_of(const observed_container& seen) {
    if (seen.state == run_state::running || seen.state == run_state::starting ||
        seen.state == run_state::paused)
        return seen.health == observed_health::unhealthy ? unhealthy(seen)
                                                         : "has ended and was started again";
    return fmt::format("exited ({})", seen.exit_code.value_or(255));
}

up_verdict judge(const container_view& view) {
    return judge_new(observe(view), uptime_of(view), view.record.history.count);
}

task<> discard(container_manager& containers, std::string id) {
    co_await containers.stop(id);
    if (containers.find(id) != nullptr)
        co_await containers.remove(id);
}

} // namespace

up_verdict judge_new(
    const observed_container& seen, std::chrono::milliseconds uptime, unsigned restarts) noexcept {
    if (restarts > 0)
        return up_verdict::failed;
    switch (seen.state) {
    case run_state::starting:
    case run_state::paused:
        return up_verdict::not_yet;
    case run_state::running:
        return judge_running(seen, uptime);
    case run_state::created:
    case run_state::restarting:
    case run_state::stopping:
    case run_state::exited:
        return up_verdict::failed;
    }
    return up_verdict::failed;
}

bool is_too_many(std::size_t failures, std::size_t planned, const compose::update_policy& policy) noexcept {
    return static_cast<double>(failures) > policy.max_failure_ratio * static_cast<double>(planned);
}

std::string text_of(const update_failure& failure) {
    return with_lines(fmt::format("container {} {}", failure.container, failure.why), failure.log);
}

/// The one that comes to take the place of another, or has it already.
const container_view* update_watch::newest(const std::string& service, unsigned number) const {
    const container_view* found = nullptr;
    for (const container_view* each : containers_.of_project(project_)) {
        const container_record& record = each->record;
        if (record.one_off || record.service != service || record.number != number ||
            record.place == container_place::leaving)
            continue;
        if (found == nullptr || record.place == container_place::coming)
            found = each;
    }
    return found;
}

bool update_watch::has_failed(const std::string& service, unsigned number) const {
    return std::any_of(report_->failures.begin(), report_->failures.end(),
        [&](const update_failure& each) { return each.service == service && each.number == number; });
}

std::size_t update_watch::failures_of(const std::string& service) const {
    return static_cast<std::size_t>(std::count_if(report_->failures.begin(), report_->failures.end(),
        [&](const update_failure& each) { return each.service == service; }));
}

task<> update_watch::await_container(step what) {
    for (;;) {
        if (superseded_())
            throw error(error_kind::conflict,
                fmt::format("wait for container \"{}\": another operation on project \"{}\" has taken over",
                    what.name, project_));
        const container_view* seen = newest(what.service, what.number);
        if (seen == nullptr)
            throw error(error_kind::not_found, "was removed");
        const up_verdict now = judge(*seen);
        if (now == up_verdict::up)
            co_return;
        if (now == up_verdict::failed)
            throw error(error_kind::unavailable, reason_of(observe(*seen)));
        co_await containers_.changed().wait_for(settled_after / 4); // uptime passes without a word
    }
}

task<> update_watch::note(step what, std::string why) {
    if (superseded_() || containers_.closed() || has_failed(what.service, what.number))
        co_return;
    update_failure failure{.service = what.service,
        .number = what.number,
        .container = what.name,
        .why = std::move(why),
        .log = {}};
    std::string id;
    if (const container_view* seen = newest(what.service, what.number)) {
        id = seen->record.id;
        failure.container = seen->record.name;
    }
    report_->failures.push_back(failure);
    const std::size_t index = report_->failures.size() - 1;
    if (id.empty())
        co_return;
    std::filesystem::path file = containers_.runtime().log_file(id);
    std::vector<std::string> lines = co_await last_lines(parts_.on, std::move(file), lines_told);
    report_->failures[index].log = std::move(lines);
}

void update_watch::warn(const std::string& service, std::string text) {
    event what;
    what.project = project_;
    what.kind = "project";
    what.name = project_;
    what.service = service;
    what.status = "Warning";
    what.detail = std::move(text);
    parts_.events.add(std::move(what));
}

/// For as long as they are watched, and as the next batch waits; a failure too many ends it at once.
task<> update_watch::look_at(step what) {
    const std::chrono::nanoseconds pause = what.last ? std::chrono::nanoseconds(0) : what.policy->delay;
    const std::chrono::nanoseconds watched = monitor_of(*what.policy);
    const auto begun = std::chrono::steady_clock::now();
    for (;;) {
        const std::chrono::nanoseconds passed = std::chrono::steady_clock::now() - begun;
        if (superseded_() || containers_.closed())
            throw error(error_kind::conflict,
                fmt::format("update service \"{}\": another operation on project \"{}\" has taken over",
                    what.service, project_));
        for (const unsigned number : what.numbers) {
            const container_view* seen = newest(what.service, number);
            if (passed > watched || seen == nullptr || has_failed(what.service, number) ||
                judge(*seen) != up_verdict::failed)
                continue;
            step about = what;
            about.number = number;
            std::string why = reason_of(observe(*seen));
            co_await note(about, std::move(why));
        }
        if (is_too_many(failures_of(what.service), what.planned, *what.policy) &&
            what.policy->failure_action != "continue")
            co_return;
        const std::chrono::nanoseconds left = std::max(watched, pause) - passed;
        if (left <= left.zero())
            co_return;
        co_await containers_.changed().wait_for(left);
    }
}

/// The old one goes on in its place.
task<> update_watch::discard_failed(step what) {
    std::vector<std::string> ids;
    for (const container_view* each : containers_.of_project(project_))
        if (each->record.service == what.service && each->record.place == container_place::coming &&
            has_failed(what.service, each->record.number))
            ids.push_back(each->record.id);
    for (const std::string& id : ids)
        co_await discard(containers_, id);
}

task<> update_watch::watch(step what) {
    co_await look_at(what);
    co_await discard_failed(what);
    const std::size_t failures = failures_of(what.service);
    if (failures == 0)
        co_return;
    std::string said;
    for (const update_failure& each : report_->failures)
        if (each.service == what.service)
            said += (said.empty() ? "" : "\n") + text_of(each);
    const std::string text = fmt::format("update service \"{}\": {}", what.service, said);
    if (!is_too_many(failures, what.planned, *what.policy)) {
        if (what.last)
            warn(what.service, text);
        co_return;
    }
    const bool goes_on = what.policy->failure_action == "continue";
    if (goes_on && !what.last)
        co_return;
    report_->stopped = true;
    report_->rolls_back = report_->rolls_back || what.policy->failure_action == "rollback";
    throw error(error_kind::unavailable,
        goes_on || what.last || what.policy->failure_action == "rollback"
            ? text
            : text +
                  "\nthe update stops there; `up` again goes on with it, `compose rollback` takes it back");
}

task<> clear_beside(container_manager& containers, std::string project) {
    std::vector<std::string> ids;
    for (const container_view* each : containers.of_project(project))
        if (!each->record.one_off && each->record.place != container_place::own)
            ids.push_back(each->record.id);
    for (const std::string& id : ids) {
        try {
            if (containers.find(id) != nullptr)
                co_await discard(containers, id);
        } catch (const error& failure) {
            spdlog::error("{}; the next `up` tries again", failure.what());
        }
    }
}

} // namespace engine
