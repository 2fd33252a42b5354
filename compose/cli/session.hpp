#pragma once

#include "api/http/client.hpp"
#include "compose/cli/context.hpp"
#include "compose/model/error.hpp"

#include <memory>
#include <optional>
#include <string>

namespace compose::cli {

/// What this program's terminal or pipes have to do with a process behind a connection.
struct session_options {
    bool tty = false;        // ours is its terminal: raw, and the size is passed on
    bool input = true;       // standard input is passed on
    bool signals = false;    // those that would end us are passed on instead
    std::string detach_keys; // that leave it alone, "ctrl-p,ctrl-q"; empty: none
};

/// Carries input and output until the process has ended: its exit code. 0 when the detach keys were typed.
/// Throws error{unavailable} when the daemon has gone.
engine::task<int> converse(
    context& with, std::unique_ptr<api::client_connection> with_process, session_options how);

/// Opens a session by a POST, as exec and attach are. Where the process could not be started, says why on
/// stderr and gives nothing, and the exit code is that of a shell: 127 for a program that is not there, 126
/// for one that cannot be run.
engine::task<std::unique_ptr<api::client_connection>> open_session(
    context& with, std::string target, std::string json_body);

/// "ctrl-p,ctrl-q" as the bytes that a terminal sends. Throws error{invalid}.
std::string detach_sequence(const std::string& keys);

} // namespace compose::cli
