#pragma once

#include "engine/project/container_manager.hpp"
#include "engine/project/operation.hpp"
#include "engine/project/project_record.hpp"
#include "engine/project/revision.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace engine {

/// What a `run` was asked to do.
struct run_options {
    one_off_request container;
    bool dependencies = true; // bring up what it depends on, and wait for it as it says
    bool remove_orphans = false;
    std::optional<unsigned> user; // who asked, where the socket tells
};

/// Whether an operation ends once all is up (up_waiter.hpp), and when it gives up.
struct wait_options {
    bool wanted = false;
    std::optional<std::chrono::nanoseconds> limit;
};

/// The service as it is for one run: restarted never, without its ports unless `ports`, and without its
/// addresses and names on the networks unless `aliases`, as those may be another's at the same time. Pure.
compose::service one_off_of(compose::service from, bool ports, bool aliases);

/// The stacks of this engine: what each should be (durable), and the one who brings the host there.
///
/// An operation first makes durable what is asked for, then drives the host toward it by a plan (plan.hpp),
/// in its turn among the others on the stack (operation_queue.hpp); one that a later one has taken over from
/// ends with error{conflict}. After a crash recover() carries on from the records.
class project_manager {
  public:
    project_manager(engine_parts parts, container_manager& containers);
    ~project_manager();

    /// Carries on what a former daemon did not finish and starts what should run.
    void recover();

    /// Each returns once what is asked for is durable; the operation then tells how it goes on.
    /// Throw error{not_found} for a project or service that there is none of.
    task<std::shared_ptr<operation>> up(compose::project wanted, up_options options);
    task<std::shared_ptr<operation>> down(std::string project, down_options options);
    task<std::shared_ptr<operation>> start(
        std::string project, std::set<std::string> services, wait_options wait);
    task<std::shared_ptr<operation>> stop(std::string project, std::set<std::string> services,
        std::optional<std::chrono::nanoseconds> grace, bool remove);
    /// `dependents`: also what is to be restarted with them (restarted_with()).
    task<std::shared_ptr<operation>> restart(std::string project, std::set<std::string> services,
        std::optional<std::chrono::nanoseconds> grace, bool dependents = true);
    /// `orphans`: when no service is named, also containers of services that the project has not.
    task<std::shared_ptr<operation>> kill(
        std::string project, std::set<std::string> services, int signal, bool orphans = false);

    /// Makes a container of a service for one run, beside those that the service has (it is not started):
    /// with all it needs, and what it depends on brought up. `alone`: the project with nothing but the
    /// service as it is to be for this (one_off_of()). `wanted` becomes the project's definition where
    /// something of it is brought up, or where there is none yet.
    task<std::shared_ptr<operation>> run(compose::project wanted, compose::project alone, run_options how);

    /// Freezes the running containers of the services, or lets them go on. Throws error{conflict} when one
    /// is already as it is to be.
    task<std::shared_ptr<operation>> pause(std::string project, std::set<std::string> services, bool frozen);

    /// The engine goes down, and all containers with it: dependents before what they depend on, each with its
    /// grace period, all within `limit`. They come back as after a boot. What is under way is carried on
    /// then.
    task<> end_all(std::chrono::nanoseconds limit);

    /// Removes the containers of `services` that do not run; with `volumes` those of their volumes that have
    /// no name and that nobody else uses.
    task<std::shared_ptr<operation>> remove_stopped(
        std::string project, std::set<std::string> services, bool volumes);

    /// The revisions that are kept, in order. Throws error{not_found}.
    task<std::vector<revision>> revisions(std::string project);

    /// The plan that up() would follow now: `up --dry-run`.
    plan preview(compose::project wanted, const up_options& options) const;

    /// Whether that is what the project is to be by its newest revision, the contents of its secrets
    /// included.
    bool is_defined_as(compose::project wanted) const;

    /// Whether an update to that has failed: nobody but a person tries it again.
    bool has_refused(compose::project wanted) const;

    /// Whether an operation on the project is under way: what has stopped may be about to start again.
    /// containers.changed() wakes when that ends.
    bool busy(const std::string& name) const;

    const project_record* find(const std::string& name) const;
    std::vector<const project_record*> list() const;

    /// Names of containers whose service the project no longer has.
    std::vector<std::string> orphans_of(const compose::project& project) const;

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace engine
