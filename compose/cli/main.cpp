#include "compose/cli/context.hpp"
#include "compose/cli/terminal.hpp"
#include "compose/model/error.hpp"
#include "compose/model/nearest.hpp"

#include <CLI/CLI.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string_view>
#include <unistd.h>

namespace {

using compose::cli::action;
using compose::cli::context;

constexpr std::string_view default_host = "unix:///run/composed/composed.sock";

void read_environment(context& into) {
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view line = *entry;
        const auto equals = line.find('=');
        if (equals != std::string_view::npos)
            into.files.environment.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
    into.files.working_directory = std::filesystem::current_path();
    into.files.environment.emplace("PWD", into.files.working_directory); // cron and systemd set none
    const auto host = into.files.environment.find("COMPOSED_HOST");
    into.host = host == into.files.environment.end() ? default_host : host->second;
}

void add_global_flags(CLI::App& app, context& with) {
    app.add_option("-f,--file", with.files.files, "Compose configuration files")->allow_extra_args(false);
    app.add_option("-p,--project-name", with.files.project_name, "Project name");
    app.add_option("--project-directory,--workdir", with.files.project_directory,
        "Specify an alternate working directory");
    app.add_option("--profile", with.files.profiles, "Specify a profile to enable")->allow_extra_args(false);
    app.add_option("--env-file", with.files.env_files, "Specify an alternate environment file")
        ->allow_extra_args(false);
    app.add_flag("--all-resources", with.files.all_resources,
        "Include all resources, even those not used by services");
    app.add_option("--host", with.host, "The daemon's socket, as unix://PATH (also COMPOSED_HOST)");
    app.add_option("--ansi", with.ansi, "Control when to print ANSI control characters")
        ->check(CLI::IsMember({"never", "always", "auto"}))
        ->envname("COMPOSE_ANSI");
    app.add_flag_callback("--no-ansi", [&with] { with.ansi = "never"; })->group("");
    app.add_option("--progress", with.progress, "Set type of progress output")
        ->check(CLI::IsMember({"auto", "tty", "plain", "json", "quiet"}))
        ->envname("COMPOSE_PROGRESS");
    // What Docker Compose's scripts pass along: the daemon decides how much it does at a time, and its log
    // how much is told.
    app.add_option_function<int>(
        "--parallel", [](int) {}, "Without effect: the daemon does what it can at the same time");
    app.add_flag("--dry-run", with.dry_run, "Say what up would do, and do nothing");
    app.add_flag_callback(
           "--verbose", [] {}, "Without effect")
        ->group("");
}

/// Where the command stands among the words: after the flags that come before it.
std::size_t command_at(const CLI::App& app, const std::vector<std::string>& words) {
    std::size_t at = 0;
    for (; at < words.size() && words[at].starts_with('-'); ++at) {
        const CLI::Option* option = app.get_option_no_throw(words[at]);
        if (option != nullptr && option->get_expected_max() > 0)
            ++at; // its value
    }
    return std::min(at, words.size());
}

/// Whether the next word is the value of this flag of a command: "-e", "-Tu" (its last letter), "--env".
bool takes_next(const CLI::App& command, const std::string& word) {
    const auto takes = [&](const std::string& flag) {
        const CLI::Option* option = command.get_option_no_throw(flag);
        return option != nullptr && option->get_expected_max() > 0;
    };
    if (word.starts_with("--"))
        return takes(word);
    for (std::size_t at = 1; at < word.size(); ++at)
        if (takes(fmt::format("-{}", word[at])))
            return at + 1 == word.size(); // or the rest of the word is the value
    return false;
}

/// "-i=false" of a flag as "--interactive=false", and "--entrypoint=" as "--entrypoint" and nothing: what
/// CLI11 understands.
void spell_out_flags(const CLI::App& app, std::vector<std::string>& words) {
    const std::size_t at = command_at(app, words);
    if (at >= words.size())
        return;
    const CLI::App* command = app.get_subcommand(words[at]);
    for (std::size_t index = at + 1; index < words.size(); ++index) {
        std::string& word = words[index];
        if (word == "--")
            return;
        if (word.starts_with("--") && word.ends_with('=') &&
            takes_next(*command, word.substr(0, word.size() - 1))) {
            word.pop_back();
            words.insert(words.begin() + static_cast<std::ptrdiff_t>(++index), "");
            continue;
        }
        if (word.size() < 3 || word[0] != '-' || word[1] == '-' || word[2] != '=')
            continue;
        const CLI::Option* option = command->get_option_no_throw(word.substr(0, 2));
        if (option != nullptr && option->get_expected_max() == 0 && !option->get_lnames().empty())
            word = "--" + option->get_lnames().front() + word.substr(2);
    }
}

/// Everything after `exec SERVICE` and `run SERVICE` belongs to the command, whatever it looks like: CLI11
/// takes words after `--` as positional, so one is put there.
void separate_command(const CLI::App& app, std::vector<std::string>& words) {
    const std::size_t at = command_at(app, words);
    if (at >= words.size() || (words[at] != "exec" && words[at] != "run"))
        return;
    const CLI::App* command = app.get_subcommand(words[at]);
    for (std::size_t index = at + 1; index < words.size(); ++index) {
        if (words[index] == "--")
            return;
        if (words[index].starts_with('-')) {
            index += takes_next(*command, words[index]) ? 1 : 0;
            continue;
        }
        words.insert(words.begin() + static_cast<std::ptrdiff_t>(index), "--");
        return;
    }
}

/// What to say of a first word that is no command; empty when it is one, or when there is none.
std::string unknown_command(const CLI::App& app, const std::vector<std::string>& words) {
    const std::size_t at = command_at(app, words);
    if (at >= words.size())
        return {};
    std::vector<std::string> names;
    for (const CLI::App* each : app.get_subcommands({})) {
        names.push_back(each->get_name());
        names.insert(names.end(), each->get_aliases().begin(), each->get_aliases().end());
    }
    if (std::find(names.begin(), names.end(), words[at]) != names.end())
        return {};
    return fmt::format("unknown command \"{}\"{}; see: compose --help", words[at],
        compose::did_you_mean(words[at], {names.begin(), names.end()}));
}

/// Of what was left when all that is known was taken.
std::string unknown_flag(const CLI::App& app) {
    for (const std::string& word : app.remaining(true))
        if (word.starts_with('-') && word != "--")
            return word;
    return {};
}

void print_error(const context& with, const std::string& message) {
    if (with.progress == "json")
        fmt::print(stderr, "{}\n",
            boost::json::serialize(boost::json::object{{"error", true}, {"message", message}}));
    else
        fmt::print(stderr, "{}\n", message);
}

int run(context& with, const action& chosen) {
    std::string message;
    bool failed = false;
    boost::asio::co_spawn(with.io, chosen(with), [&](std::exception_ptr failure) {
        if (!failure)
            return;
        failed = true;
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& thrown) {
            message = thrown.what();
        }
        with.io.stop();
    });
    with.io.run();
    std::fflush(stdout);
    if (!failed)
        return with.exit_code;
    print_error(with, compose::cli::printable(message, true));
    return 1;
}

} // namespace

int main(int count, char** arguments) {
    std::signal(SIGPIPE, SIG_IGN);
    try {
        boost::asio::io_context io(1);
        context with(io);
        read_environment(with);
        action chosen;
        CLI::App app("Define and run multi-container applications with composed", "compose");
        add_global_flags(app, with);
        app.require_subcommand(1);
        app.fallthrough(false);
        app.set_version_flag("-v,--version", std::string("composed version ") + COMPOSED_VERSION);
        using namespace compose::cli;
        for (const add_command add :
            {add_up, add_down, add_ps, add_ls, add_logs, add_lifecycle, add_events, add_exec, add_run,
                add_attach, add_port, add_top, add_stats, add_wait, add_scale, add_cp, add_create, add_config,
                add_history, add_images, add_pull, add_volumes, add_secret, add_version})
            add(command_line(&app, &chosen));
        std::vector<std::string> words(arguments + 1, arguments + count);
        separate_command(app, words);
        if (!words.empty() && words[0] == "help") { // and of which command
            words.erase(words.begin());
            words.emplace_back("--help");
        }
        if (words.empty()) {
            fmt::print("{}", app.help());
            return 0;
        }
        if (const std::string wrong = unknown_command(app, words); !wrong.empty())
            throw compose::error(compose::error_kind::invalid, wrong);
        spell_out_flags(app, words);
        std::reverse(words.begin(), words.end()); // CLI11 takes them from the back
        try {
            app.parse(words);
        } catch (const CLI::ExtrasError& odd) {
            if (const std::string flag = unknown_flag(app); !flag.empty())
                throw compose::error(compose::error_kind::invalid, "unknown flag: " + flag);
            return app.exit(odd) == 0 ? 0 : 1;
        } catch (const CLI::ParseError& done) {
            return app.exit(done) == 0 ? 0 : 1;
        }
        if (const std::string name = app.get_subcommands().front()->get_name(); with.dry_run && name != "up")
            throw compose::error(compose::error_kind::invalid,
                fmt::format("--dry-run: there is none of \"{}\", only of \"up\"", name));
        if (const auto found = with.files.environment.find("NO_COLOR");
            with.ansi == "auto" && found != with.files.environment.end() && !found->second.empty())
            with.ansi = "never";
        return run(with, chosen);
    } catch (const std::exception& failure) {
        fmt::print(stderr, "{}\n", compose::cli::printable(failure.what(), true));
        return 1;
    }
}
