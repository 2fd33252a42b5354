#pragma once

#include "engine/project/operation_queue.hpp"
#include "engine/project/plan.hpp"
#include "engine/project/project_manager.hpp"
#include "engine/project/project_records.hpp"
#include "engine/project/update_watch.hpp"
#include "engine/project/upkeep.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

// What the parts of project_manager share: project_manager.cpp has what is asked of it,
// project_operations.cpp how it is brought about, project_follow.cpp what restarts bring with them,
// project_schedules.cpp what runs by the clock.
namespace engine {

using grace_period = std::optional<std::chrono::nanoseconds>;

enum class among { enabled, all };

/// The named services, or all; those that are off only by name or where `which` says so.
/// Throws error{not_found} for a name that there is none of.
std::set<std::string> check_services(
    const compose::project& project, std::set<std::string> services, among which);

struct project_manager::implementation : std::enable_shared_from_this<implementation> {
    implementation(engine_parts with, container_manager& all)
        : parts(with), containers(all), projects(with.records), queue(with.on.io, with.events, all.changed()),
          care(with, all), schedules_changed(with.on.io) {}

    observed_project observe_project(const std::string& name, const compose::project& definition) const;
    /// What runs of the services that are to be restarted with `services`.
    std::set<std::string> followers_of(
        const compose::project& definition, const std::set<std::string>& services) const;
    task<> restart_services(compose::project definition, std::set<std::string> services, grace_period grace,
        std::function<bool()> superseded);
    task<> restart_for_person(compose::project definition, std::set<std::string> services, grace_period grace,
        std::function<bool()> superseded);
    std::set<std::string> left_behind_by(const container_view& led, const compose::project& definition) const;
    task<> follow(compose::project definition, std::string id, std::function<bool()> superseded);
    void activate_schedules(
        const compose::project& definition, const std::set<std::string>& services, bool active);
    void begin_due(
        const project_record& project, const std::string& service, std::chrono::system_clock::time_point due);
    /// Of the run that is under way.
    void end_scheduled(const std::string& project, const std::string& service, const std::string& due,
        const std::function<void(scheduled_run&)>& change);
    task<> run_scheduled(
        std::string project, std::string service, std::string due, std::function<bool()> superseded);
    task<> start_scheduled(
        std::string project, std::string service, std::string due, std::function<bool()> superseded);
    static task<> follow_scheduled(std::shared_ptr<implementation> self, std::string project,
        std::string service, std::string due, std::shared_ptr<run_end> end);
    void recover_schedule(const std::string& project, const std::string& service, const scheduled_run& run);
    void recover_schedules();
    std::chrono::system_clock::time_point see_to_schedules();
    static task<> follow_schedules(std::shared_ptr<implementation> self);
    static task<> see_followed(std::shared_ptr<implementation> self, std::string id);
    void follow_restart(const container_record& restarted);
    std::map<std::string, std::string> images_to_renew(
        const compose::project& wanted, const std::set<std::string>& services) const;
    void follow_what_is_due(const std::string& project);
    plan plan_for(const compose::project& wanted, const up_options& options,
        std::set<std::string>* services = nullptr) const;

    task<> run(plan steps, compose::project definition, grace_period grace, std::function<bool()> superseded,
        std::shared_ptr<update_report> report = std::make_shared<update_report>(), wait_limit until = {});
    /// To the end, whoever comes meanwhile.
    task<> finish(plan steps, compose::project definition, grace_period grace);
    task<> bring_up(compose::project wanted, up_options options, std::function<bool()> superseded,
        std::shared_ptr<update_report> report);
    /// As it ends, whether well or not: nothing is left beside the containers that there are.
    task<std::exception_ptr> try_to_bring_up(compose::project wanted, up_options options,
        std::function<bool()> superseded, std::shared_ptr<update_report> report);
    std::map<std::string, std::string> images_of_containers(const std::string& project) const;
    task<std::exception_ptr> go_back(
        std::string project, up_options options, std::function<bool()> superseded, std::exception_ptr why);
    task<> bring_up_and_forget(compose::project wanted, up_options options, std::function<bool()> superseded);
    task<> make_one_off(compose::project alone, run_options how, std::shared_ptr<std::string> made,
        std::function<bool()> superseded);
    task<> run_once(compose::project wanted, compose::project alone, run_options how,
        std::shared_ptr<std::string> made, std::function<bool()> superseded);
    void announce_note(const std::string& project, const std::string& note);
    task<> stop_services(
        std::string project, std::set<std::string> services, grace_period grace, bool remove);
    task<> take_down(std::string project, down_options options);
    plan plan_to_end(const std::string& project) const;
    task<> end_project(std::string project, std::chrono::steady_clock::time_point deadline);
    /// Tells of a container as a step of an operation on its project.
    std::function<void(const container_record&, std::string status)> teller();
    void announce_scheduled(const compose::project& definition, const std::set<std::string>& services);
    void announce_unchanged(
        const compose::project& wanted, const std::set<std::string>& services, const plan& steps);
    std::vector<std::string> limits_without_effect(
        const compose::project& wanted, const std::set<std::string>& services) const;
    void announce_left_unchanged(const compose::project& wanted, const std::set<std::string>& services);

    /// The contents of its secrets and configs are exchanged for their digests.
    void take_contents(compose::project& wanted, const up_options& options, bool keep) const;
    /// Forgets the contents that no kept revision and no container refers to any more.
    static task<> collect_contents(std::shared_ptr<implementation> self, std::string project);
    void begin_collecting(const std::string& project);

    std::shared_ptr<operation> begin_up(compose::project wanted, up_options options, bool new_definition);
    std::shared_ptr<operation> begin_down(const std::string& project, down_options options);
    /// `until`: when to give up what a start waits for.
    task<> start_services(compose::project definition, std::set<std::string> services,
        std::function<bool()> superseded, wait_limit until);
    std::shared_ptr<operation> begin_start(
        const std::string& project, std::set<std::string> services, wait_options wait);
    task<> start_and_wait(std::string project, std::set<std::string> services, wait_options wait,
        std::function<bool()> superseded);
    task<> start_due(std::string project, std::function<bool()> superseded);
    void carry_on(const std::string& project);
    task<> end_interrupted_up(std::string project, std::function<bool()> superseded);
    void carry_on_up(const std::string& project);

    engine_parts parts;
    container_manager& containers;
    project_records projects;
    operation_queue queue;
    upkeep care;
    notifier schedules_changed;
};

} // namespace engine
