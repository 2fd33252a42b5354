#include "engine/project/project_records.hpp"

#include "compose/model/error.hpp"
#include "engine/store/store.hpp"
#include "engine/system/identifier.hpp"

#include <boost/asio/awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace engine {

using compose::error;
using compose::error_kind;

namespace {

constexpr std::uint64_t revisions_kept = 20;

} // namespace

project_records::project_records(store& records) : store_(records) {
    for (const record& row : store_.load(table::project))
        projects_.emplace(row.key, decode_project(row.key, row.value));
    for (const record& row : store_.load(table::operation)) {
        ups_.emplace(row.key, decode_up(row.key, row.value));
    }
    if (ups_.empty())
        return;
    // Of those that are carried on the plan and the end are still to be noted.
    std::map<std::string, std::string> keys;
    for (const auto& [name, options] : ups_)
        if (const project_record* project = find(name))
            keys.emplace(revision_key(name, project->revision), name);
    for (const record& row : store_.load(table::revision))
        if (const auto found = keys.find(row.key); found != keys.end()) {
            revision value = decode_revision(row.key, row.value);
            const bool planned = !value.steps.empty();
            newest_.emplace(found->second, newest{.value = std::move(value), .planned = planned});
        }
}

bool project_records::save_revision(compose::project wanted, const up_options& options) {
    const std::string name = wanted.name;
    const auto found = projects_.find(name);
    if (found != projects_.end() && found->second.definition == wanted && !found->second.removing)
        return false;
    save_anew(std::move(wanted), options);
    return true;
}

void project_records::go_back(compose::project before, const up_options& options) {
    const auto found = projects_.find(before.name);
    save_anew(std::move(before), options,
        found == projects_.end() ? std::nullopt : std::optional(found->second.definition));
}

void project_records::refuse(const std::string& project) {
    const auto found = projects_.find(project);
    if (found == projects_.end())
        return;
    found->second.refused = found->second.definition;
    store_.put(table::project, project, encode(found->second));
}

void project_records::save_anew(
    compose::project wanted, const up_options& options, std::optional<compose::project> refused) {
    const std::string name = wanted.name;
    const auto found = projects_.find(name);
    remember_up(name, options);
    project_record record{.revision = found == projects_.end() ? 1 : found->second.revision + 1,
        .definition = std::move(wanted),
        .created = timestamp_now(),
        .removing = false,
        .remove = {},
        .refused = std::move(refused)};
    if (found != projects_.end())
        record.schedules = std::move(found->second.schedules);
    std::erase_if(record.schedules, [&](const auto& entry) {
        const auto on = record.definition.services.find(entry.first);
        return on == record.definition.services.end() || !on->second.scheduled;
    });
    store_.put(table::project, name, encode(record));
    projects_.insert_or_assign(name, std::move(record));
    begin_revision(name, options);
}

/// The project's record has its number already.
revision& project_records::begin_revision(const std::string& project, const up_options& options) {
    const project_record& record = projects_.at(project);
    revision fresh{.number = record.revision,
        .created = record.created,
        .user = options.user,
        .definition = record.definition,
        .steps = {},
        .back_to = options.back_to};
    store_.put(table::revision, revision_key(project, fresh.number), encode(fresh));
    if (record.revision > revisions_kept)
        store_.erase(table::revision, revision_key(project, record.revision - revisions_kept));
    return newest_.insert_or_assign(project, newest{.value = std::move(fresh)}).first->second.value;
}

void project_records::note_plan(const std::string& project, const plan& steps, const up_options& options) {
    const auto known = projects_.find(project);
    if (known == projects_.end())
        return;
    const auto found = newest_.find(project);
    const bool unplanned = found != newest_.end() && !found->second.planned;
    const bool anew = !options.carry_on && std::any_of(steps.begin(), steps.end(), [](const step& each) {
        return each.kind == step_kind::remove_container;
    });
    if (!unplanned && !anew)
        return;
    if (!unplanned) {
        project_record& record = known->second;
        ++record.revision;
        record.created = timestamp_now();
        store_.put(table::project, project, encode(record));
        begin_revision(project, options);
    }
    newest& mine = newest_.at(project);
    mine.planned = true;
    mine.value.steps = planned(steps);
    store_.put(table::revision, revision_key(project, mine.value.number), encode(mine.value));
}

void project_records::note_end(const std::string& project, bool failed) {
    const auto found = newest_.find(project);
    if (found == newest_.end() || found->second.value.failed == failed)
        return;
    revision& value = found->second.value;
    value.failed = failed;
    store_.put(table::revision, revision_key(project, value.number), encode(value));
}

task<std::vector<revision>> project_records::revisions(std::string project) {
    at(project); // throws when there is none
    const std::vector<record> rows = co_await store_.find(table::revision, project + "/");
    std::vector<revision> all;
    all.reserve(rows.size());
    for (const record& row : rows)
        all.push_back(decode_revision(row.key, row.value));
    co_return all;
}

void project_records::change_schedule(const std::string& project, const std::string& service,
    const std::function<void(schedule_state&)>& change) {
    const auto found = projects_.find(project);
    if (found == projects_.end())
        return;
    schedule_states& all = found->second.schedules;
    const auto there = all.find(service);
    schedule_state state = there == all.end() ? schedule_state() : there->second;
    change(state);
    if (there != all.end() && there->second == state)
        return;
    all.insert_or_assign(service, std::move(state));
    store_.put(table::project, project, encode(found->second));
}

void project_records::mark_removing(const std::string& project, const down_options& options) {
    const auto found = projects_.find(project);
    if (found == projects_.end())
        return; // only what it has left on the host is known
    found->second.removing = true;
    found->second.remove = options;
    store_.put(table::project, project, encode(found->second));
}

void project_records::empty(const std::string& project) {
    const auto found = projects_.find(project);
    if (found == projects_.end())
        return;
    project_record& record = found->second;
    record.removing = false;
    record.schedules.clear();
    record.definition.services.clear();
    record.definition.disabled_services.clear();
    record.definition.networks.clear();
    record.definition.secrets.clear();
    record.definition.configs.clear();
    store_.put(table::project, project, encode(record));
}

void project_records::forget(const std::string& project) {
    const auto found = projects_.find(project);
    if (found == projects_.end())
        return;
    const std::uint64_t last = found->second.revision;
    for (std::uint64_t number = last > revisions_kept ? last - revisions_kept : 0; number <= last; ++number)
        store_.erase(table::revision, revision_key(project, number));
    store_.erase(table::project, project);
    newest_.erase(project);
    projects_.erase(found);
}

void project_records::remember_up(const std::string& project, const up_options& options) {
    ups_.insert_or_assign(project, options);
    store_.put(table::operation, project, encode(options));
}

void project_records::forget_up(const std::string& project) {
    if (ups_.erase(project) > 0)
        store_.erase(table::operation, project);
}

const up_options* project_records::up_under_way(const std::string& project) const {
    const auto found = ups_.find(project);
    return found == ups_.end() ? nullptr : &found->second;
}

const project_record* project_records::find(const std::string& name) const {
    const auto found = projects_.find(name);
    return found == projects_.end() ? nullptr : &found->second;
}

const project_record& project_records::at(const std::string& name) const {
    const project_record* found = find(name);
    if (found == nullptr)
        throw error(error_kind::not_found, fmt::format("project \"{}\": there is none of that name", name));
    return *found;
}

std::vector<const project_record*> project_records::list() const {
    std::vector<const project_record*> all;
    for (const auto& [name, record] : projects_)
        all.push_back(&record);
    return all;
}

} // namespace engine
