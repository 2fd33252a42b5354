#pragma once

#include "engine/image/image_store.hpp"
#include "engine/network/network_manager.hpp"
#include "engine/project/container_manager.hpp"
#include "engine/project/launch_builder.hpp"
#include "engine/project/mount_resolver.hpp"
#include "engine/store/store.hpp"
#include "engine/system/identifier.hpp"
#include "engine/system/overlay_view.hpp"
#include "engine/volume/volume_store.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

// What the parts of container_manager share: container_manager.cpp has what is asked of it,
// container_runs.cpp what goes on by itself: starts, exits, restarts; container_launch.cpp what a run is made
// of, container_hooks.cpp the commands after its start and before its stop.
namespace engine {

/// Names of the volumes that it has or will have.
std::set<std::string> volumes_of(const container_record& record);

struct managed_container {
    container_view view;
    std::optional<health_monitor> health;
    std::unique_ptr<boost::asio::steady_timer> backoff; // while restarting
    std::shared_ptr<run_end> end;                       // somebody waits for it
    struct first_client {
        attach_request wants;
        std::uint16_t rows = 0;
        std::uint16_t columns = 0;
        stream_set streams; // once the shim has given them
    };
    std::shared_ptr<first_client> client; // of the start that is under way
    unsigned copies = 0;                  // with_files() under way while it does not run
    bool until_it_runs = false; // a start that fails is tried again, whatever the policy says of failures
};

struct container_manager::implementation {
    implementation(engine_parts with, runtime_options options, log_options log)
        : parts(with), log_defaults(log), changed(with.on.io),
          runtime(with.on, std::move(options), events()) {}

    runtime_events events();

    managed_container& at(const std::string& id);
    std::map<std::string, pid_t> alive() const;
    void save(const managed_container& of) {
        parts.records.put(table::container, of.view.record.id, encode(of.view.record));
    }
    void begin_run(managed_container& of);
    void set_state(managed_container& of, run_state state);
    void announce(const managed_container& of, std::string status, std::string detail = {},
        std::optional<int> code = {});

    /// Tells of what has become of it, in Docker's words.
    void happened(
        const managed_container& of, std::string action, std::map<std::string, std::string> attributes = {});

    task<> run(std::string id);
    task<> remove(std::string id);
    task<> remove_with_volumes(std::string id);
    tree_parts files_of(const container_record& record) const;
    task<> recover_pause(std::string id);
    void recover_one_off(managed_container& of);
    void tell_end(managed_container& of);
    void remember_exit(const container_record& of);
    std::set<std::string> volumes_in_use() const;
    task<launch> prepare(std::string id);
    const managed_container& joined_container(
        const container_record& of, std::string_view key, const std::string& mode) const;
    pid_t joined_process(const container_record& of, std::string_view key, const std::string& mode) const;
    std::vector<wanted_mount> mounts_wanted(const container_record& record, unsigned depth = 0) const;
    const container_record& mount_owner(const container_record& of, const std::string& entry) const;
    std::string counterpart_of(const container_record& of) const;
    /// Who has the network of a container of another project by container:NAME, and has a former one of it,
    /// is ended and started again. Within a project that is the project's business.
    void reattach_guests(const managed_container& started);
    task<> reattach(std::string guest, std::string owner, std::uint64_t generation);
    task<std::vector<held_socket>> connect(std::string id, pid_t shim);
    void on_started(const std::string& id, const start_record& started);
    task<> on_exited(std::string id, exit_record exit);
    void schedule_restart(managed_container& of, std::chrono::milliseconds delay);
    task<> restart_after(std::string id, std::chrono::milliseconds delay);
    bool is_to_restart(const std::string& id) const;
    task<> restart_now(std::string id);
    void start_failed(managed_container& of, const std::string& why);
    void watch_health(managed_container& of);
    task<> end_unhealthy(std::string id, std::uint64_t generation);
    task<bool> end_starting(std::string id);
    /// What its run `generation` owes its post_start hooks, whoever has started it.
    task<> run_post_start(std::string id, std::uint64_t generation);
    /// Until they have ended, or the run has, or `given_up` says so.
    task<> post_start_over(std::string id, std::function<bool()> given_up = {});
    task<> await_end_with(std::string id, std::uint64_t generation);
    void warn_of_hook(const managed_container& of);
    task<> run_pre_stop(std::string id, std::chrono::nanoseconds grace);
    task<> end_run(std::string id, std::chrono::nanoseconds grace);

    engine_parts parts;
    log_options log_defaults;
    notifier changed;
    std::function<void(const container_record&)> restarted;            // by itself
    std::map<std::string, std::unique_ptr<managed_container>> entries; // by id
    std::deque<std::pair<std::string, last_exit>> removed;             // by themselves: ids, the latest last
    std::minstd_rand random{std::random_device{}()};
    const std::string boot = boot_identifier();
    bool closed = false; // the engine goes down: nothing starts any more
    std::uint64_t runs_begun = 0;
    bool recovered = false; // recover() has ended
    container_runtime runtime;
};

} // namespace engine
