#pragma once

#include "engine/system/blocking.hpp"
#include "engine/system/fd.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace engine {

/// Reads what a process writes until its end, or until this is destroyed: a process must not block on a full
/// pipe. Of the text a page is kept.
class exec_output {
  public:
    enum class kept { beginning, end };

    /// Reads from now on. Without a pipe there is nothing.
    exec_output(executors on, unique_fd pipe, kept which);
    exec_output(const exec_output&) = delete;
    exec_output& operator=(const exec_output&) = delete;
    ~exec_output();

    /// Once the process has ended: what is in the pipe yet, as a child may hold it open for ever.
    task<> await_rest();

    const std::string& text() const noexcept;

  private:
    struct state;
    static task<> drain(std::shared_ptr<state> of);

    std::shared_ptr<state> state_;
};

} // namespace engine
