#pragma once

#include "compose/model/project.hpp"
#include "engine/project/schedule_record.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace engine {

/// What a `down` was asked to do.
struct down_options {
    bool volumes = false;
    bool remove_orphans = false;
    std::optional<std::chrono::nanoseconds> grace;
    /// The volumes that the file of who asked declares, by their names on the host; nothing: those of the
    /// last definition.
    std::optional<std::set<std::string>> declared = {};
};

/// A stack as it was last asked for (table::project, key: its name). Written before anything is done; how it
/// came to be so is in revision.hpp.
struct project_record {
    std::uint64_t revision = 0;
    compose::project definition;
    std::string created;            // RFC 3339, of this revision
    bool removing = false;          // `down` was asked for and has not ended
    down_options remove;            // what that `down` was asked; without `grace`, which was for its client
    schedule_states schedules = {}; // of its scheduled services
    /// What an update to has failed: nobody but a person tries it again.
    std::optional<compose::project> refused = {};

    const std::string& name() const { return definition.name; }
};

/// The services that run by a schedule.
std::set<std::string> scheduled_of(const compose::project& project);

/// When a service runs by its schedule, as far as is known now; nothing for one that does not.
std::optional<std::chrono::system_clock::time_point> next_run(
    const project_record& project, const std::string& service);

/// What an `up` was asked to do.
struct up_options {
    std::set<std::string> services; // empty: all
    bool dependencies = true;       // what they depend on as well
    bool start = true;
    bool force_recreate = false;
    bool recreate_dependencies = false; // those of the services, that is
    bool keep_containers = false;       // made anew is none of them
    bool remove_orphans = false;
    bool renew_anonymous = false; // volumes without names begin empty; not remembered, or a crash would twice
    bool wait = false;            // until running or healthy
    std::optional<std::chrono::nanoseconds> wait_timeout;
    bool pulled = false;   // the images are as new as their pull policies ask; not remembered
    bool carry_on = false; // what a former daemon was about
    std::optional<std::chrono::nanoseconds> grace; // of what is recreated; without it each service's own
    std::optional<unsigned> user;                  // who asked, where the socket tells
    std::string asked = {}; // when; what was made since then is not made anew after a crash
    std::map<std::string, std::string> images_before =
        {}; // of the containers that there were: id by reference
    /// It goes back to that revision by itself, as an update has failed; 0: it does not. What the references
    /// mean is what they meant before then.
    std::uint64_t back_to = 0;
};

/// An `up` that has not ended yet (table::operation, key: the project's name): the next daemon carries on
/// with it. Without the waiting, which was for a client that is gone by then.
std::string encode(const up_options& options);
/// Throws error{invalid} naming the record when the text is none.
up_options decode_up(std::string_view key, std::string_view text);

std::string encode(const project_record& record);
/// Throws error{invalid} naming the record when the text is none.
project_record decode_project(std::string_view key, std::string_view text);

/// The config hash of every service: what a container is compared by.
std::map<std::string, std::string> hashes_of(const compose::project& project);

} // namespace engine
