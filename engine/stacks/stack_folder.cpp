#include "engine/stacks/stack_folder.hpp"

#include "compose/load/contents.hpp"
#include "compose/load/loader.hpp"
#include "compose/load/providers.hpp"
#include "compose/model/error.hpp"
#include "engine/system/file_lease.hpp"
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

#include <sys/stat.h>

namespace engine {

namespace fs = std::filesystem;

namespace {

constexpr auto round = std::chrono::seconds(30); // for a root that was not there, and what has failed
constexpr auto settling = std::chrono::milliseconds(300); // an editor writes more than once
constexpr std::string_view file_name = "compose.yaml";

/// A folder, whatever is mounted at its path.
struct place {
    dev_t device{};
    ino_t inode{};

    bool operator==(const place&) const = default;
};

/// A stack as its file says, or what is wrong with the file.
struct stack_file {
    std::string name;
    std::optional<compose::project> project; // nothing: it is wrong, or still being written
    std::string problem;
    std::vector<std::string> warnings = {};
};

stack_file read(const fs::path& root, const std::string& name) {
    stack_file found{.name = name, .project = std::nullopt, .problem = {}};
    const fs::path file = root / name / file_name;
    compose::load_options options;
    options.files = {file};
    options.project_directory = root / name;
    options.working_directory = root / name;
    options.project_name = name;
    try {
        if (!fs::is_regular_file(file)) // a pipe, and nobody would ever write to it
            throw compose::error(compose::error_kind::invalid,
                fmt::format(
                    "\"{}\" is no file, or a link to where none is; is its disk mounted?", file.native()));
        if (is_being_written(file))
            return found; // its end is told
        compose::loaded all = compose::load(options);
        compose::refuse_providers(all);
        found.warnings = all.warnings;
        for (std::string& each : compose::check_supported(all))
            found.warnings.push_back(std::move(each));
        compose::read_contents(all.project, all.variables);
        found.project = std::move(all.project);
    } catch (const std::exception& wrong) {
        found.problem = wrong.what();
    }
    return found;
}

/// What there is.
struct stack_files {
    std::vector<stack_file> found; // in order of name
    std::set<fs::path> folders;    // all that is to be watched
    std::optional<place> root;     // nothing: it is not there or cannot be read
};

/// Whether there is a file, be it one that cannot be read: only what is certainly not there has been removed.
bool is_there(const fs::path& file) {
    std::error_code failure;
    return fs::symlink_status(file, failure).type() != fs::file_type::not_found;
}

stack_files scan(const fs::path& root) {
    stack_files all;
    std::set<std::string> names;
    std::error_code failure;
    struct stat where {};
    if (::stat(root.c_str(), &where) != 0 || !S_ISDIR(where.st_mode))
        return all;
    all.folders.insert(root);
    fs::directory_iterator entry(root, failure);
    for (; !failure && entry != fs::directory_iterator(); entry.increment(failure)) {
        std::error_code unknown;
        const fs::file_status status = entry->status(unknown);
        const bool dangling = entry->is_symlink(unknown) && !fs::is_directory(status);
        if (fs::is_directory(status))
            all.folders.insert(entry->path());
        if (dangling || (fs::is_directory(status) && is_there(entry->path() / file_name)))
            names.insert(entry->path().filename());
    }
    if (!failure)
        all.root = place{.device = where.st_dev, .inode = where.st_ino};
    for (const std::string& name : names)
        all.found.push_back(read(root, name));
    return all;
}

} // namespace

struct stack_folder::implementation {
    implementation(executors with, project_manager& all, event_log& log, fs::path where)
        : on(with), projects(all), events(log), root(std::move(where)), dirty(with.io) {}

    static task<> follow(std::shared_ptr<implementation> self);
    static task<> watch(std::shared_ptr<implementation> self, fs::path folder);
    static task<> bring_up(std::shared_ptr<implementation> self, stack_file wanted);
    task<> look(std::shared_ptr<implementation> self);
    void wake() {
        look_again = true;
        dirty.notify_all();
    }
    void tell_problem(const std::string& name, const std::string& problem);
    void forget_problem(const std::string& name);
    std::string file_of(const project_record& project) const;
    bool is_certain(const stack_files& all);
    static task<> wake_after(std::shared_ptr<implementation> self, std::shared_ptr<operation> end);
    task<> take_down_removed(std::shared_ptr<implementation> self, stack_files all);

    executors on;
    project_manager& projects;
    event_log& events;
    fs::path root;
    notifier dirty;
    bool look_again = false; // a wake-up may come while nobody waits
    std::set<fs::path> watched;
    std::map<std::string, unsigned> coming_up;   // how many times at once: the last one holds
    std::map<std::string, std::string> problems; // by project
    std::set<std::string> failed;                // of these: whose `up` is tried again
    std::optional<place> known_root;             // in which this daemon has seen stacks
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

void stack_folder::implementation::forget_problem(const std::string& name) {
    problems.erase(name);
    failed.erase(name);
}

task<> stack_folder::implementation::bring_up(std::shared_ptr<implementation> self, stack_file wanted) {
    const std::string name = wanted.name;
    for (const std::string& warning : wanted.warnings)
        spdlog::warn("project {}: {}", name, warning);
    std::string problem;
    bool given_way = false;
    try {
        spdlog::info("project {}: brought up as {} says", name, (self->root / name / file_name).native());
        up_options options;
        options.remove_orphans = true;
        const auto under_way = co_await self->projects.up(std::move(*wanted.project), std::move(options));
        co_await under_way->wait();
        given_way = under_way->given_way();
        if (under_way->failure())
            std::rethrow_exception(under_way->failure());
    } catch (const std::exception& failure) {
        problem = failure.what();
    }
    if (--self->coming_up.at(name) == 0)
        self->coming_up.erase(name);
    self->forget_problem(name);
    if (problem.empty() || given_way) // somebody has asked for something else meanwhile: that holds
        co_return;
    self->failed.insert(name);
    self->tell_problem(name, problem);
}

/// What has failed for a port that one of them still had is tried again then: a folder may have been renamed.
task<> stack_folder::implementation::wake_after(
    std::shared_ptr<implementation> self, std::shared_ptr<operation> end) {
    co_await end->wait();
    self->wake();
}

/// Whether a stack without a file has been removed: the whole folder may be on a disk that is not mounted, or
/// be one that cannot be read at the moment.
bool stack_folder::implementation::is_certain(const stack_files& all) {
    if (!all.root)
        return false;
    if (!all.found.empty())
        known_root = all.root;
    return known_root == all.root;
}

task<> stack_folder::implementation::take_down_removed(
    std::shared_ptr<implementation> self, stack_files all) {
    const bool certain = is_certain(all);
    std::set<std::string> there;
    for (const stack_file& each : all.found)
        there.insert(each.name);
    std::vector<std::string> gone;
    for (const project_record* project : projects.list())
        if (!file_of(*project).empty() && !there.contains(project->name()) && !project->removing)
            gone.push_back(project->name());
    for (const std::string& name : gone) {
        if (!certain) {
            tell_problem(
                name, fmt::format("\"{}\" has no stacks or cannot be read, so what its files brought up goes "
                                  "on; is its disk mounted? compose -p {} down takes it down",
                          root.native(), name));
            continue;
        }
        spdlog::info("project {}: its file was removed, so it is taken down; its volumes stay", name);
        down_options options;
        options.remove_orphans = true;
        try {
            const auto under_way = co_await projects.down(name, options);
            spawn(on.io, "end of " + name, wake_after(self, under_way));
        } catch (const compose::error& failure) {
            spdlog::warn("{}", failure.what());
        }
        forget_problem(name);
    }
}

task<> stack_folder::implementation::look(std::shared_ptr<implementation> self) {
    auto work = [where = root] { return scan(where); };
    stack_files seen = co_await blocking(on.workers, work);
    for (const fs::path& folder : seen.folders)
        if (watched.insert(folder).second)
            spawn(on.io, "watch " + folder.native(), watch(self, folder));
    std::vector<stack_file> wanted;
    for (const stack_file& each : seen.found)
        if (each.project)
            wanted.push_back(each);
        else if (!each.problem.empty())
            tell_problem(each.name, each.problem);
    co_await take_down_removed(self, std::move(seen));
    for (stack_file& each : wanted) {
        if (projects.has_refused(*each.project))
            continue;
        const bool as_it_says = projects.is_defined_as(*each.project);
        if (as_it_says && !failed.contains(each.name))
            problems.erase(each.name);
        else if (!as_it_says || !coming_up.contains(each.name)) { // another definition does not wait for it
            ++coming_up[each.name];
            std::string title = "stack " + each.name;
            spawn(on.io, std::move(title), bring_up(self, std::move(each)));
        }
    }
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
