#include "compose/cli/command_line.hpp"

#include <CLI/CLI.hpp>

#include <utility>

namespace compose::cli {

option option::required() const {
    option_->required();
    return *this;
}

option option::one_of(std::vector<std::string> words) const {
    option_->check(CLI::IsMember(std::move(words)));
    return *this;
}

option option::between(int least, int most) const {
    option_->check(CLI::Range(least, most));
    return *this;
}

option option::existing_file() const {
    option_->check(CLI::ExistingFile);
    return *this;
}

option option::check(std::function<std::string(std::string&)> problem_of) const {
    option_->transform(CLI::Validator(std::move(problem_of), ""));
    return *this;
}

option option::one_each() const {
    option_->allow_extra_args(false);
    return *this;
}

option option::count(int least, int most) const {
    option_->expected(least, most);
    return *this;
}

option option::hidden() const {
    option_->group("");
    return *this;
}

option option::or_variable(const std::string& name) const {
    option_->envname(name);
    return *this;
}

command_line command_line::add_subcommand(const std::string& name, const std::string& help) const {
    return {app_->add_subcommand(name, help), chosen_};
}

option command_line::add_flag(const std::string& names, bool& into, const std::string& help) const {
    return option(app_->add_flag(names, into, help));
}

option command_line::add_option(const std::string& names, std::string& into, const std::string& help) const {
    return option(app_->add_option(names, into, help));
}

option command_line::add_option(
    const std::string& names, std::optional<std::string>& into, const std::string& help) const {
    return option(app_->add_option(names, into, help));
}

option command_line::add_option(
    const std::string& names, std::vector<std::string>& into, const std::string& help) const {
    return option(app_->add_option(names, into, help));
}

option command_line::add_option(const std::string& names, int& into, const std::string& help) const {
    return option(app_->add_option(names, into, help));
}

option command_line::add_option(
    const std::string& names, std::optional<int>& into, const std::string& help) const {
    return option(app_->add_option(names, into, help));
}

option command_line::add_option(
    const std::string& names, std::vector<std::uint64_t>& into, const std::string& help) const {
    return option(app_->add_option(names, into, help));
}

option command_line::add_option(
    const std::string& names, std::optional<std::uint64_t>& into, const std::string& help) const {
    return option(app_->add_option(names, into, help));
}

void command_line::runs(action what) const {
    app_->callback([what = std::move(what), chosen = chosen_] { *chosen = what; });
}

void command_line::alias(const std::string& name) const {
    app_->alias(name);
}

void command_line::needs_subcommand() const {
    app_->require_subcommand(1);
}

} // namespace compose::cli
