#pragma once

#include "engine/project/container_manager.hpp"
#include "engine/project/plan.hpp"
#include "engine/project/up_waiter.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace engine {

/// A container that an update could not bring up, or that has not stayed so.
struct update_failure {
    std::string service;
    unsigned number = 0;
    std::string container; // name
    std::string why;
    std::vector<std::string> log; // its last lines
};

/// What becomes of the updates of an `up`.
struct update_report {
    std::vector<update_failure> failures;
    bool stopped = false;    // one of them: its policy allows no more failures
    bool rolls_back = false; // and asks for the last good revision
};

/// Whether a new container is up. One that has ended has failed, even if its restart policy starts it again.
/// Pure.
up_verdict judge_new(
    const observed_container& seen, std::chrono::milliseconds uptime, unsigned restarts) noexcept;

/// Whether that many failures of `planned` are more than the policy allows. Pure.
bool is_too_many(std::size_t failures, std::size_t planned, const compose::update_policy& policy) noexcept;

/// What to say of a container that has failed: «container p-web-1 is unhealthy», with its last lines.
std::string text_of(const update_failure& failure);

/// Watches the new containers of updates. One lives as long as its operation; what it finds is in the report.
class update_watch {
  public:
    update_watch(engine_parts parts, container_manager& containers, std::string project,
        std::function<bool()> superseded, std::shared_ptr<update_report> report)
        : parts_(parts), containers_(containers), project_(std::move(project)),
          superseded_(std::move(superseded)), report_(std::move(report)) {}

    /// Waits until the new container of a step is up. Throws error{unavailable} when it cannot be any more.
    task<> await_container(step what);

    /// A step of an update has failed: it goes into the report.
    task<> note(step what, std::string why);

    /// After a batch: watches its containers for as long as the policy says, and takes away those that were
    /// to come and have failed. Throws error{unavailable} when the update stops there.
    task<> watch(step what);

  private:
    const container_view* newest(const std::string& service, unsigned number) const;
    bool has_failed(const std::string& service, unsigned number) const;
    std::size_t failures_of(const std::string& service) const;
    task<> look_at(step what);
    task<> discard_failed(step what);
    void warn(const std::string& service, std::string text);

    engine_parts parts_;
    container_manager& containers_;
    std::string project_;
    std::function<bool()> superseded_;
    std::shared_ptr<update_report> report_;
};

/// Ends and removes what is beside the containers that a project has: those that were to take a place, and
/// those that have left one.
task<> clear_beside(container_manager& containers, std::string project);

} // namespace engine
