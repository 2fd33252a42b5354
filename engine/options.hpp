#pragma once

#include "engine/container/launch.hpp"
#include "engine/container/user_ids.hpp"
#include "engine/image/image_store.hpp"
#include "engine/network/network_manager.hpp"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace engine {

/// All that can be set of the daemon: built-in values, over them the configuration file, over it the command
/// line.
struct daemon_options {
    std::string instance = "composed";
    std::filesystem::path state = "/var/lib/composed";
    std::filesystem::path run = "/run/composed";
    std::filesystem::path config = "/etc/composed/composed.yaml";
    std::filesystem::path log_file; // empty: stderr
    std::filesystem::path pid_file; // empty: none
    std::string log_level = "info";
    std::filesystem::path stacks;  // empty: none; /etc/composed/stacks for the instance "composed"
    std::filesystem::path runtime; // empty: crun, else runc, by PATH
    std::vector<std::filesystem::path> cdi_folders = {"/etc/cdi", "/var/run/cdi"}; // the later one wins
    std::filesystem::path shim;            // empty: beside this program
    std::string group = "composed";        // owns the socket, when there is such a group
    std::optional<user_id_range> user_ids; // of containers (userns_remap); not set: the host's
    bool live_restore = true;              // containers go on when only the daemon ends
    std::chrono::nanoseconds shutdown_timeout =
        std::chrono::seconds(90); // for all to end in order; systemd's own
    bool daemonize = false;
    bool check = false;
    bool repair_store = false;
    bool new_secret_key = false;
    image_settings images;
    network_settings networks;
    log_options logs;
};

/// Throws error{invalid} naming what is wrong, with file and line where it is the file. Ends the process for
/// --help,
/// --version and what the command line does not know.
daemon_options read_options(int count, char** arguments);

} // namespace engine
