#pragma once

#include "engine/project/container_manager.hpp"
#include "engine/project/plan.hpp"
#include "engine/project/preparations.hpp"
#include "engine/project/update_watch.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>

namespace engine {

/// Carries out single steps of a plan for one project and announces each. One lives as long as its operation.
/// No condition is waited for longer than `until`.
class step_performer {
  public:
    step_performer(engine_parts parts, container_manager& containers, compose::project project,
        std::optional<std::chrono::nanoseconds> grace, std::function<bool()> superseded,
        std::shared_ptr<update_report> report, wait_limit until);

    /// Before the first step: all that are to come.
    void expect(const plan& steps);

    /// Throws what the step failed with; one of an update is in the report too. Every step can be repeated.
    task<> perform(step what);

    /// Waits until every container of the service that is to stay fulfils the condition. Throws
    /// error{unavailable} when one cannot any more, error{conflict} when the operation is superseded
    /// meanwhile.
    task<> await_condition(std::string service, compose::dependency_condition condition, bool patient);

    const std::string& project() const noexcept { return project_.name; }

    void announce(
        std::string kind, std::string name, std::string service, std::string status, std::string detail = {});

  private:
    task<> carry_out(step what);
    task<> take_place(step what);
    task<> create_network(step what);
    task<> create_volume(step what);
    task<> pull_image(step what);
    task<> create_container(step what);
    task<> update_container(step what);
    task<> start_container(step what);
    task<> prepare(step what, std::string id);
    task<> await_run(std::string id);
    task<> stop_container(step what);
    task<> remove_container(step what);
    task<> remove_network(step what);
    task<> remove_volume(step what);
    task<> gate(step what);

    engine_parts parts_;
    container_manager& containers_;
    compose::project project_;
    std::map<std::string, std::string> hashes_;
    std::optional<std::chrono::nanoseconds> grace_;
    std::function<bool()> superseded_;
    wait_limit until_;
    update_watch updates_;
    preparer preparer_;
    std::set<std::string> surplus_; // ids of what goes for good: nobody waits for it to be well
};

} // namespace engine
