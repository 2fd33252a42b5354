#include "engine/stacks/stack_folder.hpp"

#include "compose/load/contents.hpp"
#include "compose/load/loader.hpp"
#include "compose/model/error.hpp"
#include "engine/system/folder_watch.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <optional>
#include <set>
#include <vector>

namespace engine {

namespace fs = std::filesystem;

namespace {

constexpr auto round = std::chrono::seconds(30); // for a root that was not there, and what has failed
constexpr auto settling = std::chrono::milliseconds(300); // an editor writes more than once
constexpr std::string_view file_name = "compose.yaml";

/// A stack as its file says, or what is wrong with the file.
struct stack_file {
    std::string name;
    std::optional<compose::project> project;
    std::string problem;
};

stack_file read(const fs::path& root, const std::string& name) {
    stack_file found{.name = name, .project = std::nullopt, .problem = {}};
    compose::load_options options;
    options.files = {root / name / file_name};
    options.project_directory = root / name;
    options.working_directory = root / name;
    options.project_name = name;
    try {
        compose::loaded all = compose::load(options);
        compose::read_contents(all.project, all.variables);
        found.project = std::move(all.project);
    } catch (const std::exception& wrong) {
        found.problem = wrong.what();
    }
    return found;
}

/// What there is, in order of name. `folders` gets all that is to be watched.
std::vector<stack_file> scan(const fs::path& root, std::set<fs::path>& folders) {
    std::vector<stack_file> found;
    std::error_code none;
    if (!fs::is_directory(root, none))
        return found;
    folders.insert(root);
    std::set<std::string> names;
    for (const fs::directory_entry& each : fs::directory_iterator(root, none)) {
        if (!each.is_directory(none))
            continue;
        folders.insert(each.path());
        if (fs::exists(each.path() / file_name, none))
            names.insert(each.path().filename());
    }
    for (const std::string& name : names)
        found.push_back(read(root, name));
    return found;
}

} // namespace

struct stack_folder::implementation {
    implementation(executors with, project_manager& all, event_log& log, fs::path where)
        : on(with), projects(all), events(log), root(std::move(where)), dirty(with.io) {}

    static task<> follow(std::shared_ptr<implementation> self);
    static task<> watch(std::shared_ptr<implementation> self, fs::path folder);
    static task<> bring_up(std::shared_ptr<implementation> self, compose::project wanted);
    task<> look(std::shared_ptr<implementation> self);
    void wake() {
        look_again = true;
        dirty.notify_all();
    }
    bool is_at_work(const compose::project& wanted) const;
    void tell_problem(const std::string& name, const std::string& problem);
    std::string file_of(const project_record& project) const;
    task<> take_down_removed(const std::vector<stack_file>& found);

    executors on;
    project_manager& projects;
    event_log& events;
    fs::path root;
    notifier dirty;
    bool look_again = false;                 // a wake-up may come while nobody waits
    std::set<std::string> changed_meanwhile; // of those that are coming up
    std::set<fs::path> watched;
    std::set<std::string> coming_up;
    std::map<std::string, std::string> problems; // by project
};

std::string stack_folder::implementation::file_of(const project_record& project) const {
    if (root.empty() || project.definition.config_files.empty())
        return {};
    const fs::path expected = root / project.name() / file_name;
    return project.definition.config_files.front() == expected ? expected.native() : std::string();
}

void stack_folder::implementation::tell_problem(const std::string& name, const std::string& problem) {
    if (problems[name] == problem)
        return;
    problems[name] = problem;
    spdlog::error("project {}, by its file: {}", name, problem);
    event what;
    what.project = name;
    what.kind = "project";
    what.name = name;
    what.status = "Error";
    what.detail = problem;
    events.add(std::move(what));
}

/// The project is what its file says, and no earlier attempt to make it so has failed.
bool stack_folder::implementation::is_at_work(const compose::project& wanted) const {
    return !problems.contains(wanted.name) && projects.is_defined_as(wanted);
}

task<> stack_folder::implementation::bring_up(std::shared_ptr<implementation> self, compose::project wanted) {
    const std::string name = wanted.name;
    std::string problem;
    try {
        spdlog::info("project {}: brought up as {} says", name, (self->root / name / file_name).native());
        up_options options;
        options.remove_orphans = true;
        const auto under_way = co_await self->projects.up(std::move(wanted), std::move(options));
        co_await under_way->wait();
        if (under_way->failure())
            std::rethrow_exception(under_way->failure());
    } catch (const compose::error& failure) {
        // Somebody has asked for something else meanwhile: that holds.
        if (failure.kind() != compose::error_kind::conflict)
            problem = failure.what();
    }
    self->coming_up.erase(name);
    if (self->changed_meanwhile.erase(name) > 0)
        self->wake();
    if (problem.empty())
        self->problems.erase(name);
    else
        self->tell_problem(name, problem);
}

task<> stack_folder::implementation::take_down_removed(const std::vector<stack_file>& found) {
    std::set<std::string> there;
    for (const stack_file& each : found)
        there.insert(each.name);
    std::vector<std::string> gone;
    for (const project_record* project : projects.list())
        if (!file_of(*project).empty() && !there.contains(project->name()) && !project->removing)
            gone.push_back(project->name());
    for (const std::string& name : gone) {
        spdlog::info("project {}: its file was removed, so it is taken down; its volumes stay", name);
        down_options options;
        options.remove_orphans = true;
        try {
            co_await projects.down(name, options);
        } catch (const compose::error& failure) {
            spdlog::warn("{}", failure.what());
        }
        problems.erase(name);
    }
}

task<> stack_folder::implementation::look(std::shared_ptr<implementation> self) {
    auto work = [where = root] {
        std::set<fs::path> folders;
        std::vector<stack_file> found = scan(where, folders);
        return std::pair(std::move(found), std::move(folders));
    };
    const auto seen = co_await blocking(on.workers, work);
    for (const fs::path& folder : seen.second)
        if (watched.insert(folder).second)
            spawn(on.io, "watch " + folder.native(), watch(self, folder));
    for (const stack_file& each : seen.first) {
        if (!each.project) {
            tell_problem(each.name, each.problem);
            continue;
        }
        if (is_at_work(*each.project))
            continue;
        if (!coming_up.insert(each.name).second) {
            changed_meanwhile.insert(each.name);
            continue;
        }
        spawn(on.io, "stack " + each.name, bring_up(self, *each.project));
    }
    // A root that has gone as a whole is a disk that is not mounted: nobody has asked for anything by that.
    if (seen.second.contains(root))
        co_await take_down_removed(seen.first);
}

task<> stack_folder::implementation::watch(std::shared_ptr<implementation> self, fs::path folder) {
    try {
        folder_watch changes(self->on.io, folder);
        std::error_code none;
        while (fs::is_directory(folder, none)) {
            co_await changes.changed();
            self->wake();
        }
    } catch (const compose::error&) {
        // It went again at once.
    }
    self->watched.erase(folder);
}

task<> stack_folder::implementation::follow(std::shared_ptr<implementation> self) {
    boost::asio::steady_timer pause(self->on.io);
    for (;;) {
        self->look_again = false;
        co_await self->look(self);
        if (!self->look_again)
            co_await self->dirty.wait_for(round);
        if (!self->look_again)
            continue;
        pause.expires_after(settling);
        co_await pause.async_wait(boost::asio::use_awaitable);
    }
}

stack_folder::stack_folder(executors on, project_manager& projects, event_log& events, fs::path root)
    : implementation_(std::make_shared<implementation>(on, projects, events, std::move(root))) {}

stack_folder::~stack_folder() = default;

void stack_folder::start() {
    if (!implementation_->root.empty())
        spawn(implementation_->on.io, "follow " + implementation_->root.native(),
            implementation::follow(implementation_));
}

std::string stack_folder::file_of(const project_record& project) const {
    return implementation_->file_of(project);
}

std::string stack_folder::problem_of(const std::string& project) const {
    const auto found = implementation_->problems.find(project);
    return found == implementation_->problems.end() ? std::string() : found->second;
}

} // namespace engine
