#pragma once

#include "compose/model/project.hpp"
#include "engine/network/network_record.hpp"
#include "engine/volume/volume_store.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

enum class run_state { created, starting, running, paused, restarting, stopping, exited };

/// "created", "running" …: as Docker's API names them (starting and stopping are ours).
std::string_view to_string(run_state state) noexcept;

/// What a container is to its service. While one takes the place of another there are two of a number: the
/// one that comes, then, once it has the place, the one that leaves.
enum class container_place { own, coming, leaving };

enum class observed_health { none, starting, healthy, unhealthy };

/// A container of the project as it is now.
struct observed_container {
    std::string id;
    std::string name;
    std::string service;
    unsigned number = 1;
    std::string hash;                                  // of the definition it was made from
    std::string image;                                 // id of the image it was made from
    const compose::service* definition = nullptr;      // that it was made from, while its record lives
    std::set<std::string> networks;                    // their names on the host
    std::set<std::string> volumes;                     // likewise, those without names too
    std::map<std::string, std::string> mounted_images; // when it ran last: id by reference
    run_state state = run_state::created;
    bool due = false;       // it is to run, and waits for something
    bool hooks_due = false; // it runs, and its post_start hooks have not all ended
    observed_health health = observed_health::none;
    std::string illness = {};     // while it is unhealthy, why its check failed; empty: not known
    std::optional<int> exit_code; // of the last run; nothing before there was one
    container_place place = container_place::own;
    std::string replaces = {}; // id of the one whose place it comes to take
};

/// What there is on the host, as far as the plan asks.
struct observed_project {
    std::vector<observed_container> containers;
    std::map<std::string, network_definition> networks; // all there are, by name on the host
    std::map<std::string, std::string>
        guests; // by network, in words: a container that is on it and no service's of this project
    std::map<std::string, volume_definition> volumes;      // the same
    std::map<std::string, std::string> volume_guests = {}; // by volume, as guests
    std::map<std::string, std::string> images; // reference in the file -> image id, for those that are here
};

enum class step_kind {
    create_network,
    create_volume,
    pull_image,
    create_container,
    update_container, // its limits, while it runs
    start_container,
    await_condition, // a dependency's; `condition` says which
    await_container, // a new one of an update: until it is up
    take_place,      // of the container that `replaces` names
    watch_update,    // the new ones of a batch, for as long as its policy says: then whether it goes on
    stop_container,
    remove_container,
    remove_network,
    remove_volume,
};

std::string_view to_string(step_kind kind) noexcept;

/// One thing to do. It may begin when all steps of `after` have succeeded.
struct step {
    step_kind kind = step_kind::create_container;
    std::string name;      // of the container, network or volume on the host; the reference of an image
    std::string service;   // of containers and conditions
    unsigned number = 0;   // of a container to create
    std::string container; // id, of one that exists
    std::string key;       // of a network or volume in the project
    std::string reason;    // for people: «image changed»
    compose::dependency_condition condition = compose::dependency_condition::started;
    bool carry_on = false;     // of a start or a condition: of what a former daemon wanted to run
    bool again = false;        // of a stop: it is started again after that; of a start: that is meant
    bool replaced = false;     // of a removal: another container takes its place
    bool required = true;      // of a condition: false lets what follows go on when it fails
    bool update = false;       // of an update, which judges its failure
    std::string replaces = {}; // id: the container meant is the one beside it while both are there
    std::string image = {};    // of a container to create: id, when it is not what the reference means
    bool drain = false;        // of a stop: its connections have time to end
    std::vector<unsigned> numbers = {}; // of watch_update: the batch, of `planned` that are replaced
    std::size_t planned = 0;
    bool last = false; // batch
    std::optional<compose::update_policy> policy = {};
    std::vector<std::size_t> after; // indexes into the plan

    bool operator==(const step&) const = default;
};

using plan = std::vector<step>;

/// What is asked of the stack. `hashes` has the config hash of every service.
struct up_request {
    const compose::project& project;
    const std::map<std::string, std::string>& hashes;
    std::set<std::string> services; // the ones to bring up; others are left as they are
    bool start = true;              // false: create only
    bool remove_orphans = false;
    bool carry_on = false;                // what a former daemon was about
    std::set<std::string> force_recreate; // services whose containers are made anew even if nothing changed
    std::map<std::string, std::string> pull_again = {}; // images that are here, and why
    bool containers = true;       // false: only the networks, volumes and images that they need
    bool keep_containers = false; // those that are there, whatever has changed
    bool renew_anonymous = false; // their volumes without names begin empty, with new containers
    bool rolling_back = false;    // by rollback_config instead of update_config
    std::map<std::string, std::string> pinned = {}; // id of the image that a reference is to mean
};

/// The steps from `now` to what is asked for: empty when there is nothing to do. Pure.
/// A network whose definition has changed is made anew, with the containers on it.
/// What depends with `restart: true` on a service whose containers are started is restarted with it.
/// Throws error{not_found} for an external network or volume that is not there, error{invalid} for an image
/// that may not be pulled (pull_policy never) and is not there, error{conflict} for a changed network with
/// containers that are not among `services`.
plan plan_up(const up_request& wanted, const observed_project& now);

/// The services that have `order: start-first` and cannot be replaced so: one line each, for people.
std::vector<std::string> not_start_first(const up_request& wanted, const observed_project& now);

/// What of the networks and ports of what is brought up has no effect, by its key and with the reason: one
/// line each, for people.
std::vector<std::string> networks_without_effect(const up_request& wanted, const observed_project& now);

/// What an `up` leaves as it is although the file has another definition of it by now: one line each, for
/// people. Data is at stake, so volumes are not made anew; a network of another project is the other's.
std::vector<std::string> left_unchanged(const up_request& wanted, const observed_project& now);

/// What of the mounts of the services that are brought up has no effect on this host: one line each, for
/// people. `selinux`: whether the host runs it.
std::vector<std::string> mounts_without_effect(const up_request& wanted, bool selinux);

/// external_links to containers that there are none of, by `known` (names and services of all) and
/// those that the project itself is to have.
std::vector<std::string> links_to_nothing(const up_request& wanted, std::set<std::string> known);

/// What is to be taken down: the last definition with the services that are off.
struct down_request {
    const compose::project& project;
    bool volumes = false;
    bool remove_orphans = false;
    std::vector<observed_container> one_offs = {}; // they go first: they use the others
    /// The volumes with names that its file declares as its own, by their names on the host; nothing where no
    /// file is known: then all that were made for the project are meant.
    std::optional<std::set<std::string>> declared = {};
};

/// The steps that take the stack down: dependents before what they depend on, then the networks that were
/// made for the project and, if asked, its volumes: those that the file declares, and those without a name.
/// Pure.
plan plan_down(const down_request& wanted, const observed_project& now);

/// The volumes of the project that such a `down` leaves, as only an earlier file had them: data that nobody
/// has said anything about.
std::vector<std::string> volumes_kept(const down_request& wanted, const observed_project& now);

/// The names on the host of the volumes that are the project's own.
std::set<std::string> declared_volumes(const compose::project& project);

/// The steps that end (and with `remove`, remove) the containers of `services`, dependents first.
plan plan_stop(const compose::project& project, const observed_project& now,
    const std::set<std::string>& services, bool remove);

/// Whether it was made for a mount without a source, or for a VOLUME of an image.
bool is_anonymous(const volume_definition& volume);

/// Adds to `steps`, which remove containers, the removal of the volumes without names that no other container
/// of `now` uses.
void remove_anonymous_volumes(plan& steps, const observed_project& now);

/// The steps that start the existing containers of `services` in dependency order with their conditions; not
/// those of scheduled ones, unless `only` has them.
/// `only`: of those, the ones with these ids, to carry on with what a former daemon wanted to run.
plan plan_start(const compose::project& project, const observed_project& now,
    const std::set<std::string>& services, const std::optional<std::set<std::string>>& only = std::nullopt);

/// The steps that start the container of a scheduled service for its next run, when what it depends on is as
/// it is to be.
plan plan_run(const compose::project& project, const observed_project& now, const std::string& service);

/// The project with the services that are off among the others: what `stop` or `down` is about.
compose::project whole_of(compose::project project);

/// PROJECT-SERVICE-NUMBER, or the service's container_name.
std::string container_name_of(
    const compose::project& project, const compose::service& service, unsigned number);

/// What one of two containers of that name is called while both are there: as Docker Compose calls it, after
/// the id of the older one.
std::string name_beside(const std::string& older, const std::string& name);

/// Services in dependency order, each after all it depends on. Requires: no cycles (the loader refuses them).
std::vector<std::string> in_dependency_order(const compose::project& project);

/// The services whose success others wait for.
std::set<std::string> one_shots_of(const compose::project& project);

/// The services that are to be restarted whenever one of `services` is (depends_on: {…: {restart: true}},
/// and network_mode service:…, which implies it), directly or not; without `services` themselves.
std::set<std::string> restarted_with(const compose::project& project, const std::set<std::string>& services);

/// Those whose network_mode, ipc or pid names one of `services` or its container, or one that does.
std::set<std::string> in_namespaces_of(
    const compose::project& project, const std::set<std::string>& services);

/// `services` and all they depend on, directly or not.
std::set<std::string> with_dependencies(
    const compose::project& project, const std::set<std::string>& services);

} // namespace engine
