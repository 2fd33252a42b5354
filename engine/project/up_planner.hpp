#pragma once

#include "engine/project/definitions.hpp"
#include "engine/project/handover.hpp"
#include "engine/project/plan.hpp"
#include "engine/project/plan_steps.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace engine {

/// plan_up() in its parts, each of which fills what the next wait for: networks, volumes and images
/// (plan_up_resources.cpp), what goes and what is made (plan_up.cpp), what is replaced batch by batch
/// (plan_up_batches.cpp), and in which order things start (plan_up_starts.cpp). For plan_up.cpp alone.
class up_planner {
  public:
    up_planner(const up_request& wanted, const observed_project& now)
        : wanted_(wanted), now_(now), order_(in_dependency_order(wanted.project)),
          one_shots_(one_shots_of(wanted.project)), containers_(now) {}

    plan make();

  private:
    void networks();
    void remake(const std::string& key, const network_definition& there);
    void volumes();
    void images();
    bool is_here(const std::string& reference) const;
    void pull(const std::string& reference, const std::string& service);
    void renew();
    bool is_orphan(const observed_container& container) const;
    bool is_removed_orphan(const observed_container& container) const;
    void orphans();
    bool has_succeeded(const observed_container& container) const;
    bool begins_anew(const compose::service& service) const;
    void stop_dependents();
    std::vector<std::size_t> dependents_stopped(const std::string& service) const;
    void remove(const observed_container& container, const std::string& reason,
        const std::vector<std::size_t>& after);
    void beside();
    const observed_container* coming_for(const observed_container& old) const;
    const compose::update_policy* policy_of(const compose::service& service) const;
    bool is_updated(const compose::service& service, const observed_container& container) const;
    bool is_in_the_way(const compose::service& service, const observed_container& container) const;
    std::vector<std::size_t> needs_of(const compose::service& service) const;
    std::string pinned(const std::string& reference) const;
    void updates(const compose::service& service, const std::vector<std::size_t>& gates);
    void ends(const compose::service& service);
    void containers(const compose::service& service);
    void create(const compose::service& service, unsigned number, const std::string& reason,
        std::optional<std::size_t> after);
    std::optional<std::size_t> update(const compose::service& service, const observed_container& container,
        std::optional<std::size_t> after);
    std::vector<std::size_t> handed_over(const std::string& name, const compose::service& service) const;
    std::string renamed_for(const compose::service& service, const observed_container& container) const;
    std::string change_of(const compose::service& service, const observed_container& container) const;
    bool is_remade(const std::string& service) const;
    void starts(const compose::service& service);
    std::vector<std::size_t> conditions(const compose::service& service);
    std::optional<std::size_t> condition(const std::string& name, const compose::dependency& how);

    /// A container that a start step is due for.
    struct pending_start {
        std::string name;
        std::string id;
        std::optional<std::size_t> created;
        std::string reason = "not running";
    };

    /// A container that goes.
    struct ended_container {
        std::string reason;
        std::size_t last = 0; // step
        std::string service;
        holdings free; // from then on
    };

    const up_request& wanted_;
    const observed_project& now_;
    const std::vector<std::string> order_; // of dependencies
    const std::set<std::string> one_shots_;
    const containers_by_service containers_;
    plan_steps steps_;
    std::map<std::string, std::size_t> network_steps_; // by key in the project
    std::map<std::string, std::size_t> volume_steps_;
    std::map<std::string, ended_container> ended_;              // by id
    std::map<std::string, std::size_t> stopped_;                // by id: those that go on as they are after
    std::map<std::string, std::size_t> image_steps_;            // by reference
    std::map<std::string, std::vector<pending_start>> pending_; // by service
    std::map<std::string, std::vector<std::size_t>> start_steps_;
    // One that is required and one that is not are two: the second lets go on what the first holds back.
    std::map<std::tuple<std::string, compose::dependency_condition, bool>, std::size_t> condition_steps_;
};

} // namespace engine
