#include "engine/project/preparations.hpp"

#include "compose/model/error.hpp"
#include "engine/container/logs.hpp"
#include "engine/project/project_manager.hpp"
#include "engine/store/store.hpp"
#include "engine/system/crash_point.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace engine {

using compose::error;
using compose::error_kind;

compose::service preparation_of(compose::service from, std::size_t index, const std::string& container) {
    const compose::preparation step = from.pre_start.at(index);
    compose::service made = one_off_of(std::move(from), false, false);
    if (!step.image.empty() && step.image != made.image) {
        made.image = step.image;
        made.entrypoint.reset();
        made.command.reset();
    }
    if (!step.work.command.empty())
        made.command = step.work.command;
    if (!step.work.user.empty())
        made.user = step.work.user;
    if (!step.work.working_dir.empty())
        made.working_dir = step.work.working_dir;
    made.privileged = made.privileged || step.work.privileged;
    for (const auto& [name, value] : step.work.environment)
        made.environment[name] = value;
    std::erase_if(
        made.mounts, [](const compose::mount& each) { return each.type != compose::mount_type::tmpfs; });
    made.volumes_from = {"container:" + container};
    made.health = compose::healthcheck{.disable = true};
    made.pre_start.clear();
    made.post_start.clear();
    made.pre_stop.clear();
    made.depends_on.clear();
    made.tty = false;
    made.stdin_open = false;
    return made;
}

std::string instance_of_step(const compose::service& of, unsigned index, unsigned number) {
    std::string name = fmt::format("{}-pre_start-{}", of.name, index);
    return of.pre_start.at(index).per_replica ? fmt::format("{}-{}", name, number) : name;
}

task<> end_preparations(container_manager& containers, std::string project,
    std::function<bool(const container_record& prepared)> meant) {
    std::vector<std::string> ids;
    for (const container_view* each : containers.of_project(project))
        if (!each->record.prepares.empty())
            if (const container_view* of = containers.find(each->record.prepares);
                of == nullptr || meant(of->record))
                ids.push_back(each->record.id);
    for (const std::string& id : ids) {
        if (containers.find(id) != nullptr)
            co_await containers.stop(id);
        if (containers.find(id) != nullptr)
            co_await containers.remove(id, true);
    }
}

const container_view& preparer::at(const std::string& id) const {
    const container_view* of = containers_.find(id);
    if (of == nullptr)
        throw error(error_kind::conflict,
            fmt::format("start container \"{}\": it was removed meanwhile", id.substr(0, 12)));
    return *of;
}

task<> preparer::prepare(std::string id) {
    for (;;) {
        const container_record& record = at(id).record;
        const compose::service& service = record.service_definition();
        if (record.one_off || service.pre_start.empty())
            co_return;
        if (record.prepared >= service.pre_start.size()) {
            co_await clear(id);
            co_return;
        }
        const bool once = !service.pre_start[record.prepared].per_replica;
        if (once && is_done_by_another(record)) {
            containers_.prepared(id, record.prepared + 1);
            continue;
        }
        std::string key = once ? fmt::format("{} {} {}", record.service, record.hash, record.image) : id;
        if (const auto other = under_way_.find(key); other != under_way_.end()) {
            const std::shared_ptr<attempt> awaited = other->second;
            while (!awaited->done)
                co_await containers_.changed().wait();
            if (awaited->failure)
                std::rethrow_exception(awaited->failure);
            continue;
        }
        co_await share(std::move(key), id);
    }
}

/// A daemon may have died over the removal of what had done its step.
task<> preparer::clear(std::string id) {
    std::vector<std::string> left;
    for (const container_view* each : containers_.of_project(project_))
        if (each->record.prepares == id && !each->run)
            left.push_back(each->record.id);
    for (const std::string& each : left)
        if (containers_.find(each) != nullptr)
            co_await containers_.remove(each, true);
}

/// Others that need the same wait for it, and share its failure.
task<> preparer::share(std::string key, std::string id) {
    const auto mine = std::make_shared<attempt>();
    under_way_.emplace(key, mine);
    try {
        co_await do_next(id);
    } catch (...) {
        mine->failure = std::current_exception();
    }
    mine->done = true;
    under_way_.erase(key);
    containers_.changed().notify_all();
    if (mine->failure)
        std::rethrow_exception(mine->failure);
}

bool preparer::is_done_by_another(const container_record& record) const {
    const auto all = containers_.of_project(project_);
    return std::any_of(all.begin(), all.end(), [&](const container_view* each) {
        const container_record& other = each->record;
        return !other.one_off && !leaving_.contains(other.id) && other.service == record.service &&
               other.hash == record.hash && other.image == record.image && other.prepared > record.prepared;
    });
}

/// The container of the step that is due, which a former operation or daemon has begun.
const container_view* preparer::find(const container_record& record) const {
    const bool once = !record.service_definition().pre_start[record.prepared].per_replica;
    for (const container_view* each : containers_.of_project(project_)) {
        const container_record& other = each->record;
        if (!other.prepares.empty() && other.service == record.service && other.step == record.prepared &&
            other.hash == record.hash && (once || other.prepares == record.id))
            return each;
    }
    return nullptr;
}

task<> preparer::do_next(std::string id) {
    const unsigned index = at(id).record.prepared;
    const std::string service = at(id).record.service;
    const std::string instance =
        instance_of_step(at(id).record.service_definition(), index, at(id).record.number);
    std::string at_work;
    if (const container_view* former = find(at(id).record)) {
        at_work = former->record.id;
        const bool goes_on = former->run || former->state == run_state::starting;
        const bool ended_well = former->record.exit && former->record.exit->code == 0 &&
                                former->record.exit->error.empty() && !former->record.started.empty();
        if (goes_on) {
            std::shared_ptr<run_end> end = containers_.watch_end(at_work);
            co_await await_end(at_work, std::move(end));
        } else if (!ended_well) {
            co_await containers_.remove(at_work, true);
            at_work.clear();
        }
    }
    if (at_work.empty()) {
        at_work = co_await begin(id);
        const auto end = containers_.watch_end(at_work);
        std::string why;
        try {
            co_await containers_.start(at_work);
        } catch (const error& failure) {
            why = failure.what();
        }
        if (!why.empty())
            throw error(error_kind::unavailable,
                fmt::format("service \"{}\": pre_start[{}] failed: {}", service, index, why));
        co_await await_end(at_work, end);
    }
    co_await judge(at_work, service, index);
    tell(at_work, "Exited");
    crash_point("pre_start: a step has ended");
    containers_.prepared(id, index + 1);
    co_await parts_.records.durable();
    crash_point("pre_start: that is durable");
    co_await containers_.keep_log(at_work, instance);
    co_await containers_.remove(at_work, true);
}

task<std::string> preparer::begin(std::string id) {
    const container_record& record = at(id).record;
    const unsigned index = record.prepared;
    compose::project alone = record.definition;
    compose::service& service = alone.services.at(record.service);
    std::string name = fmt::format("{}-{}", project_, instance_of_step(service, index, record.number));
    if (record.place == container_place::coming)
        name = name_beside(record.replaces, name);
    service = preparation_of(service, index, id);
    one_off_request how{.name = name, .prepares = id, .step = index};
    if (const container_view* stale = containers_.find_by_name(name);
        stale != nullptr && !stale->record.prepares.empty() && !stale->run) {
        const std::string former = stale->record.id; // of another definition
        co_await containers_.remove(former, true);
    }
    container_request request{.project = alone,
        .service = at(id).record.service,
        .number = 0,
        .hash = at(id).record.hash,
        .one_off = std::move(how)};
    std::string made = co_await containers_.create(std::move(request));
    crash_point("pre_start: a step is to begin");
    tell(made, "Starting");
    co_return made;
}

void preparer::tell(const std::string& id, std::string status) {
    event what = event_about(at(id).record);
    what.status = std::move(status);
    parts_.events.add(std::move(what));
}

task<> preparer::await_end(std::string id, std::shared_ptr<run_end> end) {
    while (!end->done) {
        if (superseded_())
            throw error(error_kind::conflict,
                fmt::format("pre_start: another operation on project \"{}\" has taken over; container \"{}\" "
                            "goes on",
                    project_, containers_.find(id) == nullptr ? id : containers_.find(id)->record.name));
        co_await containers_.changed().wait();
    }
}

task<> preparer::judge(std::string id, std::string service, unsigned index) {
    const container_record& record = at(id).record;
    if (record.exit && record.exit->code == 0)
        co_return;
    const int code = record.exit ? record.exit->code : 255;
    const std::string name = record.name;
    std::filesystem::path file = containers_.runtime().log_file(id);
    constexpr std::size_t lines_told = 3;
    const std::vector<std::string> lines = co_await last_lines(parts_.on, std::move(file), lines_told);
    throw error(error_kind::unavailable,
        fmt::format("service \"{}\": pre_start[{}] failed: container \"{}\" exited ({}){}{}", service, index,
            name, code, lines.empty() ? "" : ": ", fmt::join(lines, " | ")));
}

} // namespace engine
