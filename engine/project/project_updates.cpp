#include "engine/project/project_manager_state.hpp"

#include "compose/model/error.hpp"
#include "engine/system/crash_point.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

// How an `up` ends whose updates have failed.
namespace engine {

using compose::error;
using compose::error_kind;

namespace {

std::string message_of(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& thrown) {
        return thrown.what();
    }
}

std::exception_ptr failed(const std::string& text) {
    return std::make_exception_ptr(error(error_kind::unavailable, text));
}

} // namespace

std::map<std::string, std::string> project_manager::implementation::images_of_containers(
    const std::string& project) const {
    std::map<std::string, std::string> images;
    for (const container_view* each : containers.of_project(project))
        if (each->record.is_own())
            images.emplace(each->record.image_reference, each->record.image);
    return images;
}

task<std::exception_ptr> project_manager::implementation::try_to_bring_up(compose::project wanted,
    up_options options, std::function<bool()> superseded, std::shared_ptr<update_report> report) {
    const std::string name = wanted.name;
    std::exception_ptr failure;
    try {
        co_await bring_up(std::move(wanted), std::move(options), superseded, std::move(report));
    } catch (...) {
        failure = std::current_exception();
    }
    if (containers.closed()) // the next daemon goes on with it
        co_return failure;
    co_await clear_beside(containers, name);
    if (!superseded())
        projects.note_end(name, failure != nullptr);
    co_return failure;
}

/// What is wanted is the last good revision again before anything is done for it: neither a boot nor the next
/// daemon tries the other one again. Gives what to tell of it all.
task<std::exception_ptr> project_manager::implementation::go_back(
    std::string project, up_options options, std::function<bool()> superseded, std::exception_ptr why) {
    const std::string text = message_of(why);
    const std::vector<revision> kept = co_await projects.revisions(project);
    const revision* good = last_come_up(kept, projects.at(project).revision);
    if (good == nullptr)
        co_return failed(text + "\nthere is no earlier revision that has come up to go back to");
    if (superseded())
        co_return why;
    options.back_to = good->number;
    options.force_recreate = false;
    options.recreate_dependencies = false;
    options.keep_containers = false;
    options.renew_anonymous = false;
    options.carry_on = false;
    options.pulled = true;
    std::erase_if(
        options.services, [&](const std::string& name) { return !good->definition.services.contains(name); });
    spdlog::warn("project {}: {}; goes back to revision {}", project, text, good->number);
    projects.go_back(good->definition, options);
    crash_point("go back: the revision before is wanted again");
    const auto report = std::make_shared<update_report>();
    const std::exception_ptr failure =
        co_await try_to_bring_up(good->definition, options, superseded, report);
    if (failure)
        co_return failed(fmt::format(
            "{}\nand going back to revision {} has failed: {}", text, good->number, message_of(failure)));
    co_return failed(fmt::format("{}\nrolled back to revision {}", text, good->number));
}

} // namespace engine
