#pragma once

#include "compose/model/project.hpp"
#include "engine/container/health.hpp"
#include "engine/container/restart.hpp"
#include "engine/project/plan.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace engine {

/// What Docker Compose of the 2.x line writes into com.docker.compose.version.
constexpr std::string_view compose_version = "2.40.3";

/// How the last run of a container ended, as it is remembered.
struct last_exit {
    int code = 0;
    bool oom = false;
    std::string finished; // RFC 3339
    std::string error;    // why it could not be started at all; empty when it ran

    bool operator==(const last_exit&) const = default;
};

/// The durable part of a container (table::container, key: its id). Written before anything is done to the
/// container: `wanted` says whether it should run, whatever it does at the moment.
struct container_record {
    std::string id;   // 64 hex digits
    std::string name; // unique on this engine
    std::string project;
    std::string service;
    unsigned number = 1;
    bool one_off = false;  // made by `compose run`, beside those that the service has; `number` is 0
    std::string slug;      // one_off: what tells it from others
    std::string prepares;  // one_off: id of the container that it does a step of pre_start for
    unsigned step = 0;     // prepares: which
    unsigned prepared = 0; // steps of its own pre_start that have ended well
    container_place place = container_place::own;
    std::string replaces;        // coming: id of the one whose place it takes
    bool auto_remove = false;    // it goes once it has ended, with its volumes without names
    std::string hash;            // of the service's definition
    std::string image;           // id
    std::string image_reference; // as in the file
    compose::project definition; // the project with this one service, as it was when the container was made
    std::string created;         // RFC 3339

    bool wanted = false;          // should run; false after it has ended for good
    bool comes_again = false;     // it is being ended to be started again, whatever its policy says
    bool follow_due = false;      // it comes back by itself, and what is restarted with it has still to be
    bool paused = false;          // while it runs: its processes are to be frozen
    restart_history history;      // count and stopped-by-hand
    std::uint64_t generation = 0; // of the last run
    std::string started;          // RFC 3339; empty: never
    std::string boot; // of the host, in which it was started last; empty: the engine has ended it to go down
    std::optional<last_exit> exit;
    health_memory health;                  // of the last run
    std::set<std::string> mounted_sources; // of its binds, those on another mount than / when it ran
    std::set<std::string> volumes; // names of all that it mounts, those of others and without names too
    std::map<std::string, std::string> mounted_images; // when it ran last: id by reference

    /// One of those that the service has by its definition.
    bool is_own() const { return !one_off && place == container_place::own; }

    const compose::service& service_definition() const { return definition.services.at(service); }
};

/// What its process has between the stop signal and SIGKILL: its stop_grace_period, or Docker's 10 s;
/// negative: for ever.
std::chrono::nanoseconds grace_of(const container_record& record);

std::string encode(const container_record& record);
/// Throws error{invalid} naming the record when the text is none.
container_record decode_container(std::string_view key, std::string_view text);

/// The labels that Docker Compose gives to its containers, with the service's own: other tools find stacks by
/// them.
std::map<std::string, std::string> labels_of(const container_record& record);

} // namespace engine
