#pragma once

#include "engine/shim/attach_hub.hpp"
#include "engine/shim/console_socket.hpp"
#include "engine/shim/daemon_link.hpp"
#include "engine/shim/early_signals.hpp"
#include "engine/shim/exec_table.hpp"
#include "engine/shim/json_log.hpp"
#include "engine/shim/log_forwarder.hpp"
#include "engine/shim/network_namespace.hpp"
#include "engine/shim/poller.hpp"
#include "engine/shim/port_proxy.hpp"
#include "engine/shim/protocol.hpp"
#include "engine/shim/runtime_command.hpp"

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace engine {

/// The parent of one container: one thread, one poll loop. Owns the container's network namespace (by living
/// in it), its stdio, log, reserved ports, DNS sockets and exit record.
///
/// preparing → starting → running → exited, or failed from the first two. `started` is always sent before
/// `exited`, as one loop sends both: an exit that is reaped before the runtime has told the process's number
/// waits in unknown_exits_. Without a daemon everything goes on; an exit is written to the file `exit` and
/// told to the next daemon that connects. It leaves when the daemon has acknowledged the exit or the failure,
/// or when the daemon goes away before there is anything to look after.
class monitor {
  public:
    /// Takes the socket over. The working directory is RUN/container/ID.
    explicit monitor(int socket);
    monitor(const monitor&) = delete;
    monitor& operator=(const monitor&) = delete;
    ~monitor();

    /// Returns the program's exit code.
    int run();

  private:
    bool set_up();
    void turn();
    int wait_limit() const;

    void on_message(message& in, std::vector<int>& descriptors);
    void on_setup(const message& in, std::vector<int>& descriptors);
    void on_attach(const message& in, std::vector<int>& descriptors);
    void on_forward(const message& in, std::vector<int>& descriptors);
    void on_lend(const std::vector<int>& descriptors) const;
    void on_signal(const message& in);
    void on_resize(const message& in);
    void on_acknowledge();

    void start_container();
    void open_log();
    bool make_streams(int stdio[3]);
    void on_runtime_returned(int status);
    void fail(failure_step step, std::int64_t code, std::string text);
    void send_snapshot(message_type type);
    void send_failure();

    void reap();
    void on_init_exit(int status);
    bool take_unknown_exit(pid_t pid, int& status);

    void read_stream(int& fd, json_log::stream which);
    void advance_exit();
    void record_exit();
    void finish_exit();

    daemon_link daemon_;
    daemon_link::receiver receive_;
    int lock_ = -1;
    int signals_ = -1;
    bool done_ = false;
    bool have_setup_ = false;
    bool leaving_ = false;
    std::int64_t leave_at_ = 0; // monotonic ns; deadlines are 0 when there is none

    shim_setup setup_;
    shim_snapshot snapshot_;
    network_descriptors network_;
    std::vector<int> kept_;
    int contents_ = -1; // of secrets; until the runtime has them
    std::string failure_;

    runtime_command start_;
    runtime_command delete_;
    console_socket console_;
    int streams_[2] = {-1, -1}; // what we read: stdout and stderr, or the terminal
    log_forwarder forward_;
    json_log log_;
    attach_hub clients_;
    exec_table execs_;
    port_proxy ports_;
    std::int64_t flows_until_ = 0;

    std::int64_t started_ = 0; // monotonic ns
    early_signals early_signals_;
    bool exiting_ = false;
    std::int64_t drain_until_ = 0;
    std::int64_t delete_until_ = 0;
    std::deque<std::pair<pid_t, int>> unknown_exits_;
};

} // namespace engine
