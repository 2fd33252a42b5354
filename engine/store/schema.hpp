#pragma once

#include "engine/store/store.hpp"

#include <array>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace engine {

class sqlite_connection;

inline constexpr std::array<std::string_view, 10> table_names{"project", "revision", "container", "network",
    "lease", "volume", "image", "operation", "secret", "mount"};

// Raised by one for each change of the tables, together with a step in migrate().
inline constexpr long schema_version = 4;

std::string_view name_of(table which) noexcept;

/// The schema of the file; 0 for a new one. Throws error{invalid} for one that is newer than this program.
long version_of(sqlite_connection& connection, const std::filesystem::path& file);

/// The tables that a version has: it adds to those of the one before.
std::span<const std::string_view> tables_of(long version) noexcept;

/// Brings the tables from one version to a later one, in one transaction.
void migrate(sqlite_connection& connection, long from, long to = schema_version);

/// Whether a record's value is what one can be: SQLite has no checksums, and what a bad disk has made of a
/// text is seldom JSON.
bool is_sound(const std::string& value) noexcept;

/// The whole copy of `file` that the daemon makes now and then: what repair_store() falls back on.
std::filesystem::path copy_of(const std::filesystem::path& file);

/// Makes that copy anew, in two halves that block: what needs the connection, and the way to the disk, after
/// which it takes the place of the former one.
void write_copy(sqlite_connection& connection, const std::filesystem::path& file);
void publish_copy(const std::filesystem::path& file);

} // namespace engine
