#pragma once

#include "engine/system/fd.hpp"

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace engine {

/// A program of the person's own, run for them: their environment, their stderr, nothing to read, and its
/// output line by line. For the `compose` program, which may block; the daemon starts programs by
/// child_process.hpp. Killed when this goes before it has ended.
class piped_program {
  public:
    /// `argv[0]`: its path. `environment`: NAME=VALUE each. Throws error naming the program.
    piped_program(std::vector<std::string> argv, std::vector<std::string> environment);
    piped_program(const piped_program&) = delete;
    piped_program& operator=(const piped_program&) = delete;
    ~piped_program();

    /// Nothing at the end. Throws error{exhausted} for a line of more than a mebibyte.
    std::optional<std::string> next_line();

    /// Its exit code, 128 and the signal's number for one that a signal has ended.
    int wait();

  private:
    std::string name_;
    unique_fd output_;
    std::string read_;
    pid_t pid_ = 0; // 0: reaped
};

} // namespace engine
