#pragma once

#include "engine/system/notifier.hpp"

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>

namespace engine {

/// Something under way for a stack. Its events are those of the project from `first_event` on, until it is
/// done.
class operation {
  public:
    operation(boost::asio::io_context& io, std::string of_project, std::uint64_t first)
        : project(std::move(of_project)), first_event(first), ended_(io) {}

    const std::string project;
    const std::uint64_t first_event;
    std::uint64_t revision = 0;             // that it brings up; 0 for what is no `up`
    std::shared_ptr<std::string> container; // id of the one that a `run` has made, once it is done
    /// Whether a later one has taken over from it: its failure, if any, says no more than that.
    std::function<bool()> given_way = [] { return false; };

    bool done() const noexcept { return done_; }
    /// What it failed with, once done; null when it succeeded.
    std::exception_ptr failure() const noexcept { return failure_; }

    void finish(std::exception_ptr failure) {
        done_ = true;
        failure_ = std::move(failure);
        ended_.notify_all();
    }

    /// Resumes when it is done.
    task<> wait();

  private:
    notifier ended_;
    std::exception_ptr failure_;
    bool done_ = false;
};

} // namespace engine
