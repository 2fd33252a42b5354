#pragma once

#include "engine/shim/console_socket.hpp"
#include "engine/shim/daemon_link.hpp"
#include "engine/shim/protocol.hpp"
#include "engine/shim/runtime_command.hpp"

#include <list>
#include <optional>
#include <string>
#include <vector>

namespace engine {

/// The further processes of the container. The shim hands their stdio through and reports their ends; it
/// never reads or writes for them. An end that no daemon has heard of is kept for the next one, as is the
/// output of one with a name: it must not break with the daemon that read it.
class exec_table {
  public:
    exec_table(const shim_setup& setup, daemon_link& daemon) : setup_(setup), daemon_(daemon) {}
    exec_table(const exec_table&) = delete;
    exec_table& operator=(const exec_table&) = delete;
    ~exec_table();

    /// Starts one; the answer goes to the daemon. Takes `descriptors` over.
    void start(std::uint32_t session, const exec_order& order, std::vector<int>& descriptors);

    /// A child has ended. True when it was one of ours. `earlier_exit` looks a process up that was reaped
    /// before we knew its number.
    using earlier_exit = std::function<bool(pid_t pid, int& status)>;
    bool on_exit(pid_t pid, int status, const earlier_exit& earlier);

    void signal(std::uint32_t session, int number);

    /// To a daemon that has come: what runs, and what has ended unheard.
    void tell();

    /// The container is gone: what has not ended is reported with code 255.
    void abandon();

  private:
    struct entry {
        std::uint32_t session = 0;
        exec_order order;
        runtime_command command;
        console_socket console;
        pid_t pid = 0; // 0 until the runtime has returned
        std::optional<int> ended;
        int output = -1; // the end that is read, of one with a name
    };

    void on_started(entry& which, int status, const earlier_exit& earlier);
    void on_ended(entry& which, int status);
    void fail(std::uint32_t session, failure_step step, std::int64_t code, std::string_view text);
    void forget(const entry& which);

    const shim_setup& setup_;
    daemon_link& daemon_;
    std::list<entry> entries_;
};

/// 0 … 255 of a wait status; 128 + n when a signal ended the process.
int exit_code_of(int status);

} // namespace engine
