#pragma once

#include "engine/container/bundle.hpp"
#include "engine/container/container_runtime.hpp"
#include "engine/container/exec_session.hpp"
#include "engine/container/shim_link.hpp"
#include "engine/system/notifier.hpp"

#include <boost/json/value.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace engine {

/// One run of a container as the daemon sees it: from the shim's start until nothing is left of it. On the
/// engine's thread.
///
/// Its states follow from what was heard: network_ready → started → exit → gone; or failed → gone. `gone`
/// comes last and always, with the shim dead and RUN/container/ID removed.
class running_container : public std::enable_shared_from_this<running_container> {
  public:
    struct failure {
        std::int64_t step = 0; // failure_step
        std::int64_t code = 0;
        std::string text;
    };

    running_container(executors executors, std::shared_ptr<const runtime_host> host,
        const runtime_events& events, std::string id, std::string name);

    /// Takes a shim over and hears it to its end. `recovered`: it was started by an earlier daemon.
    task<> serve(unique_fd socket, unique_fd shim, bool recovered);

    /// Clears up after a shim that was found dead, and tells the exit if there was a run.
    task<> bury();

    /// Nothing ever ran: the shim could not be started.
    void never_was();

    /// Waits until `done(*this)`, at most `limit` (zero: for ever); false when it is not by then.
    template <typename Predicate>
    task<bool> wait_until(Predicate done, std::chrono::nanoseconds limit);

    /// The daemon leaves: lets go of the shim and of everything of it.
    void detach();

    /// Drops the connection and clears up; a shim without a container leaves then.
    void abandon();

    bool send(message_type type, std::uint32_t session = 0, std::string payload = {},
        const std::vector<int>& descriptors = {});

    /// The end of a container that SIGKILL is not heard for: its shim is killed, and everything in its cgroup
    /// with it.
    void end_shim();

    /// Registers an exec under a new number and gives that.
    std::uint32_t add_exec(std::shared_ptr<exec_session::shared> exec);
    void forget_exec(std::uint32_t session);

    /// What a former daemon has begun under that name, once; nothing when there is none.
    struct left_exec {
        std::uint32_t session = 0;
        std::shared_ptr<exec_session::shared> exec;
    };
    std::optional<left_exec> take_left(const std::string& name);

    const std::string& id() const noexcept { return id_; }
    const std::string& name() const noexcept { return name_; }

    std::optional<pid_t> network_ready; // the shim
    std::optional<failure> failed;
    std::optional<start_record> started;
    std::optional<exit_record> exited;
    bool exit_told = false; // events.exited has returned
    bool heard = false;     // a recovered shim has answered
    bool gone = false;
    bool paused = false;
    bool ending = false; // SIGKILL was sent: whatever becomes of the shim, that is what it ended of
    std::shared_ptr<const boost::json::value> config; // config.json, once an exec has read it
    notifier changed;

  private:
    task<> listen();
    task<> on_packet(shim_link::packet& in);
    void on_snapshot(const shim_snapshot& snapshot);
    void take_dns(shim_link::packet& in);
    task<> tell_exit(exit_record record);
    void on_exec(shim_link::packet& in);
    void on_left_exec(shim_link::packet& in);
    task<bool> shim_has_ended(std::chrono::milliseconds limit);
    task<> clear_up();
    void end_execs();

    executors executors_;
    std::shared_ptr<const runtime_host> host_;
    const runtime_events& events_;
    std::string id_;
    std::string name_;
    std::unique_ptr<shim_link> link_;
    unique_fd shim_;
    bool abandoned_ = false;
    bool detached_ = false;
    std::uint32_t next_session_ = 0;
    std::map<std::uint32_t, std::shared_ptr<exec_session::shared>> execs_;
    std::map<std::string, left_exec> left_; // by name
};

template <typename Predicate>
task<bool> running_container::wait_until(Predicate done, std::chrono::nanoseconds limit) {
    const auto keep = shared_from_this();
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!done(*keep)) {
        if (limit == std::chrono::nanoseconds(0)) {
            co_await keep->changed.wait();
            continue;
        }
        const std::chrono::nanoseconds left = until - std::chrono::steady_clock::now();
        if (left <= std::chrono::nanoseconds(0))
            co_return false;
        co_await keep->changed.wait_for(left);
    }
    co_return true;
}

} // namespace engine
