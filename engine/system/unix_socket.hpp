#pragma once

#include "engine/system/fd.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace engine {

/// A listening stream socket at `path`: made with `mode`, owned by `group` when there is such a group.
/// Replaces a file that nobody listens behind; throws error{conflict} when somebody does, error{invalid} for
/// a path above 107 bytes.
unique_fd listen_unix(const std::filesystem::path& path, unsigned mode, const std::string& group);

/// Gives the socket's file to the group, when there is such a group.
void give_to_group(const std::filesystem::path& path, const std::string& group);

/// The uid of the process at the other end (SO_PEERCRED).
std::optional<unsigned> peer_user(int socket) noexcept;

/// A pidfd of the process that listened at the other end; empty when it is gone.
unique_fd open_peer(const unique_fd& socket) noexcept;

} // namespace engine
