#pragma once

#include "engine/project/project_record.hpp"
#include "engine/project/revision.hpp"
#include "engine/system/task.hpp"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace engine {

class store;

/// What is durable of the stacks: the record of each, its last revisions, and the `up` that has not ended.
/// Writes are on their way to disk when a function returns: `co_await store.durable()` before anybody is
/// told. Engine state: used on the engine's thread only.
class project_records {
  public:
    explicit project_records(store& records);

    /// Makes `wanted` the definition of its project, as a new revision unless it is that already. Whether it
    /// was not; then the `up` is remembered too, for the next daemon if this one dies before it has ended.
    bool save_revision(compose::project wanted, const up_options& options);

    /// Makes `before` the definition again as a new revision, whatever it is now (up_options::back_to). The
    /// `up` is remembered in the place of the one that has failed.
    void go_back(compose::project before, const up_options& options);

    /// An update to the definition has failed.
    void refuse(const std::string& project);

    /// The plan that leads to the newest revision, if that has none yet. One that makes containers anew
    /// without another definition (another image under the same name, or because it was asked for) is a
    /// revision too.
    void note_plan(const std::string& project, const plan& steps, const up_options& options);

    /// How the `up` that made the newest revision, or was asked for again, has ended.
    void note_end(const std::string& project, bool failed);

    /// Of the last 20, in order. Throws error{not_found} for a project that there is none of.
    task<std::vector<revision>> revisions(std::string project);

    /// Of a scheduled service; nothing where the project has gone.
    void change_schedule(const std::string& project, const std::string& service,
        const std::function<void(schedule_state&)>& change);

    /// `down` begins.
    void mark_removing(const std::string& project, const down_options& options);

    /// `down` has ended, but containers that are none of the definition's are left: nothing is asked for any
    /// more.
    void empty(const std::string& project);

    /// The project is no more.
    void forget(const std::string& project);

    /// What an interrupted `up` needs to be carried on by the next daemon. A later one takes its place.
    void remember_up(const std::string& project, const up_options& options);
    void forget_up(const std::string& project);
    /// The `up` of a project that has not ended; null when there is none.
    const up_options* up_under_way(const std::string& project) const;

    const project_record* find(const std::string& name) const;
    /// Throws error{not_found}.
    const project_record& at(const std::string& name) const;
    std::vector<const project_record*> list() const;

  private:
    store& store_;
    std::map<std::string, project_record> projects_;
    /// The newest of projects, as far as this daemon has made them; `planned`: with its plan.
    struct newest {
        revision value;
        bool planned = false;
    };
    void save_anew(compose::project wanted, const up_options& options,
        std::optional<compose::project> refused = std::nullopt);
    revision& begin_revision(const std::string& project, const up_options& options);

    std::map<std::string, newest> newest_;
    std::map<std::string, up_options> ups_; // under way, by project: table::operation
};

} // namespace engine
