#pragma once

#include "engine/system/notifier.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace engine {

/// Something that happened, for people and programs that look on. Never the cause of anything inside the
/// engine. It is a step of an operation, of which its progress is drawn (`status`), or what has become of a
/// container, whoever was the cause (`action`, in Docker's words).
struct event {
    std::uint64_t sequence = 0;
    std::chrono::system_clock::time_point time;
    std::string project;
    std::string kind; // container, network, volume, image, project
    std::string name;
    std::string id; // of a container
    std::string service;
    bool one_off = false; // a container of `run`
    std::string status;   // "Creating", "Created", "Started", "Exited", "Healthy", "Pulling" …
    std::string detail;   // why, or what went wrong
    std::string action;   // "create", "start", "kill", "die", "stop", "destroy" …
    std::map<std::string, std::string> attributes; // of an action: image, exitCode, labels …
    std::optional<std::uint64_t> current;          // of a pull, in bytes
    std::optional<std::uint64_t> total;
    std::optional<int> exit_code;
};

/// Whether it is one of the project's: what is put right for the whole host, such as the firewall, is so for
/// every project.
bool concerns(const event& what, const std::string& project);

/// The last events of the engine and those who follow them. Each follower has a cursor into one shared ring,
/// so a slow one costs nothing and stops nobody: when the ring has gone past it, it goes on with the oldest
/// there is and is told how many it missed.
class event_log {
  public:
    explicit event_log(boost::asio::io_context& io);

    void add(event what);

    /// The sequence number that the next event will have: where a new follower begins.
    std::uint64_t next_sequence() const noexcept { return next_; }

    struct batch {
        std::vector<event> events;
        std::uint64_t next = 0;   // where to go on
        std::uint64_t missed = 0; // events that were gone already
    };

    /// What was put right by itself (status "Repaired") for the project, or for the whole host; the latest
    /// 20, oldest first.
    std::vector<event> repairs(const std::string& project) const;

    /// What there is from `from` on; may be empty.
    batch since(std::uint64_t from) const;

    /// Resumes when there is an event from `from` on, or after wake().
    task<> wait(std::uint64_t from);

    /// Lets all followers look again: what they wait for may have ended without an event.
    void wake();

  private:
    std::deque<event> ring_;
    std::deque<event> repairs_; // outlive what else there is in the ring
    std::uint64_t next_ = 1;
    notifier added_;
};

} // namespace engine
