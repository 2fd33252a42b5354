#pragma once

#include "engine/system/task.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
} // namespace CLI

namespace compose::cli {

class context;

/// What runs when a command was given. The parsed values live in what it has captured.
using action = std::function<engine::task<>(context&)>;

/// One flag, option or positional of a command: a handle, which may be copied. What each member says of it
/// holds beside what was said before.
class option {
  public:
    explicit option(CLI::Option* of) : option_(of) {}

    option required() const;
    option one_of(std::vector<std::string> words) const;
    option between(int least, int most) const;
    option existing_file() const;
    /// `problem_of`: what is wrong with a value, empty when nothing is; it may put another in its place.
    option check(std::function<std::string(std::string&)> problem_of) const;
    /// Each time it is given it takes one value, not all the words that follow.
    option one_each() const;
    option count(int least, int most) const;
    option hidden() const;
    /// Where it is not given, the variable of the environment has its value.
    option or_variable(const std::string& name) const;

  private:
    CLI::Option* option_;
};

/// A command that is read from the command line, or the whole of them: a handle, which may be copied. The
/// parser behind it is CLI11, whose header costs every file that sees it five seconds of compilation; only
/// command_line.cpp and main.cpp do.
///
/// Names are as in "-f,--file"; "!--no-x" turns its flag off; without a dash it is a positional.
class command_line {
  public:
    /// `chosen` becomes what the command does that the command line has.
    command_line(CLI::App* app, action* chosen) : app_(app), chosen_(chosen) {}

    command_line add_subcommand(const std::string& name, const std::string& help) const;
    option add_flag(const std::string& names, bool& into, const std::string& help) const;
    option add_option(const std::string& names, std::string& into, const std::string& help) const;
    option add_option(
        const std::string& names, std::optional<std::string>& into, const std::string& help) const;
    option add_option(
        const std::string& names, std::vector<std::string>& into, const std::string& help) const;
    option add_option(
        const std::string& names, std::vector<std::uint64_t>& into, const std::string& help) const;
    option add_option(
        const std::string& names, std::optional<std::uint64_t>& into, const std::string& help) const;
    option add_option(const std::string& names, int& into, const std::string& help) const;
    option add_option(const std::string& names, std::optional<int>& into, const std::string& help) const;
    void runs(action what) const;
    void alias(const std::string& name) const;
    void needs_subcommand() const;

  private:
    CLI::App* app_;
    action* chosen_;
};

} // namespace compose::cli
