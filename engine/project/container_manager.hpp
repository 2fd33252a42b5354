#pragma once

#include "engine/container/container_runtime.hpp"
#include "engine/container/health.hpp"
#include "engine/project/container_record.hpp"
#include "engine/project/event.hpp"
#include "engine/project/plan.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace engine {

class image_store;
class known_mounts;
class network_manager;
class store;
class volume_store;
class secret_store;

/// The parts of the engine that containers are made of. They outlive whoever holds this.
struct engine_parts {
    executors on;
    store& records;
    image_store& images;
    known_mounts& mounts;
    volume_store& volumes;
    secret_store& secrets;
    network_manager& networks;
    event_log& events;
};

/// A container as it is at this moment: its record and what is only known while the daemon runs.
struct container_view {
    container_record record;
    run_state state = run_state::created;
    std::optional<start_record> run; // while it runs
    std::uint64_t order = 0;         // of its last run among those that this daemon has begun; 0: none
    std::optional<health_state> health;
};

/// A container beside those that the service has by its definition: `compose run`.
struct one_off_request {
    std::string name;         // empty: PROJECT-SERVICE-run-SLUG
    bool auto_remove = false; // once it has ended
    bool use_aliases = false; // it has the service's names on its networks too
    std::string prepares;     // id of the container that it does a step of pre_start for
    unsigned step = 0;        // which
};

/// How a run ended, for those who wait for it; outlives the container's entry.
struct run_end {
    explicit run_end(boost::asio::io_context& io) : changed(io) {}

    bool done = false;
    last_exit exit;
    notifier changed;
};

/// What a new container is made from.
struct container_request {
    const compose::project& project;
    std::string service;
    unsigned number = 1;
    std::string hash;
    std::optional<one_off_request> one_off = std::nullopt;
    std::string image = {};    // id, when it is not the one that the reference means now
    std::string replaces = {}; // id of the container whose place it is to take
};

/// A container's files, for work on them.
struct container_tree {
    std::filesystem::path root;
    uid_t first_id =
        0; // what its own programs see as 0 (userns_remap); what is made there belongs to that one
};

/// The containers of this engine, each on its way between the states of run_state. Engine state: used on the
/// engine's thread only.
///
/// Durable is what should be (container_record); what is, comes from the shims. A record is written before
/// its container is touched: a daemon that dies at any point finds by recover() either the record with
/// nothing done, which it does then, or a running container that the record wants. When a run ends the
/// restart policy decides (restart.hpp) and the outcome is durable before the shim forgets the exit.
class container_manager {
  public:
    container_manager(engine_parts parts, runtime_options options, log_options log_defaults);
    ~container_manager();

    /// Takes over what runs. Containers that should run and do not are left to the caller (due()).
    task<> recover();

    /// Names and addresses are taken, nothing runs yet. Throws error{conflict} for a name in use.
    task<std::string> create(container_request what);

    /// One that was made to take the place of another has it from now on, with its name: who asks for the
    /// service, and who comes by its published ports, is led to it and no longer to the other, whose
    /// connections go on until drain() and its end. Nothing for one that has the place already.
    task<> take_place(std::string id);

    /// Leads nobody to the container any more, and waits until those that are connected to it have gone; at
    /// most `limit` (negative: for ever), or until `hurry` says so.
    task<> drain(std::string id, std::chrono::nanoseconds limit, std::function<bool()> hurry);

    /// What it may use from now on, at once when it runs. Throws error{conflict} where the kernel refuses,
    /// and then nothing has changed.
    task<> change_limits(std::string id, compose::limits limits);

    /// Returns when the process runs; its post_start hooks follow (await_hooks()). Asked for by a person
    /// restart counts begin anew; `carry_on`: what a former daemon wanted to run goes on where it was, and
    /// one that cannot be started now is tried again until it can (state restarting), whatever its policy.
    task<> start(std::string id, bool carry_on = false);

    /// Waits until the post_start hooks of its run have ended, or that has. Throws error{unavailable} for one
    /// that failed, and when it ended with another code than 0 before they had; error{conflict} when
    /// `given_up`, and they go on.
    task<> await_hooks(std::string id, std::function<bool()> given_up = {});

    /// Waits likewise. Why one failed; empty: none has.
    task<std::string> failed_hook(std::string id);

    /// As start() by a person, with the streams of its first process from the first byte on; the terminal, if
    /// it has one, is of that size (0: the kernel's default).
    task<stream_set> start_attached(
        std::string id, attach_request what, std::uint16_t rows, std::uint16_t columns);

    /// Freezes its processes until it is thawed or ended, across daemons; nobody asks for its health
    /// meanwhile. Throws error{conflict} where there is nothing to freeze or to thaw.
    task<> pause(std::string id, bool frozen);

    /// Runs `work` with the root of its files on a thread of its own: of one that runs as its processes see
    /// them, of another its layers with its volumes and binds. `work` never follows a link but inside that
    /// root (tar_copy.hpp). What does not run cannot be started meanwhile.
    task<> with_files(std::string id, std::function<void(const container_tree&)> work);

    /// An event of what is done to it from outside, in Docker's words, with `attributes` beside its
    /// image, name and labels. Nothing for one that has gone.
    void tell(const std::string& id, std::string action, std::map<std::string, std::string> attributes = {});

    /// The end of its run, or of its next one when it does not run now. One that is restarted by its policy
    /// has not ended.
    std::shared_ptr<run_end> watch_end(const std::string& id);

    /// How one has ended that was removed by itself, as `run --rm` asks for: whoever waits may come a little
    /// later, after the daemon was killed above all. Of the last hundred that this daemon has removed.
    std::optional<last_exit> exit_of_removed(const std::string& id) const;

    /// Ends it and keeps it ended: `manually_stopped` is durable before the signal is sent. Without `grace`
    /// the service's own stop_grace_period.
    task<> stop(std::string id, std::optional<std::chrono::nanoseconds> grace = std::nullopt);

    /// Ends it to be started again, which the caller does: it stays wanted, so that the next daemon does it
    /// when this one dies in between.
    task<> end_to_restart(std::string id, std::optional<std::chrono::nanoseconds> grace = std::nullopt);

    /// What is wanted, does not run and is not about to be restarted is not wanted any more.
    void give_up(const std::string& id);

    /// What is restarted with it has begun anew since the run `generation` of it.
    void followed(const std::string& id, std::uint64_t generation);

    /// So many steps of its pre_start have ended well.
    void prepared(const std::string& id, unsigned steps);

    /// From now on nothing starts: error{unavailable}.
    void close();
    bool closed() const;

    /// Ends it for as long as the engine or the host is down: it stays wanted, and what follows a boot
    /// follows. Requires close().
    task<> end_for_now(std::string id, std::chrono::nanoseconds grace);

    /// A signal that counts as a stop also ends restarting. Nothing for one that does not run.
    task<> kill(std::string id, int signal);

    /// Removes a container that does not run, with its writable layer, log and addresses; with `anonymous`
    /// also the volumes without names that only it has.
    task<> remove(std::string id, bool anonymous = false);

    /// Keeps the log of one that is about to be removed, as another takes its place (former_logs.hpp), or
    /// under the name of what it was.
    task<> keep_log(std::string id, std::string instance = {});

    const container_view* find(const std::string& id) const;
    const container_view* find_by_name(const std::string& name) const;
    /// In order of service and number.
    std::vector<const container_view*> of_project(const std::string& project) const;
    std::vector<const container_view*> all() const;

    /// Containers that should run and do not, and are not about to be restarted: those that recover() found.
    std::vector<std::string> due() const;

    /// Image ids and volume names that containers use: neither may be removed. What `run` has left holds no
    /// volume without a name.
    std::set<std::string> images_in_use() const;
    std::set<std::string> volumes_in_use() const;

    /// Whom to tell when a container runs again after it has ended by itself.
    void on_restarted(std::function<void(const container_record&)> told);

    /// Wakes whenever a container's state, health or existence changes.
    notifier& changed();

    container_runtime& runtime();

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

/// SERVICE-NUMBER: what a container has in common with those that take its place.
std::string instance_of(const container_record& record);

/// It is to run, and nobody but recover()'s caller is about to start it.
bool is_due(const container_view& view);

/// Its post_start hooks are on their way.
bool hooks_run(const container_view& view);

/// An event that is about it, and does not say yet what has happened.
event event_about(const container_record& of);

/// `view` as the plan sees it.
observed_container observe(const container_view& view);

} // namespace engine
