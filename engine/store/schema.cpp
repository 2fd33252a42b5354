#include "engine/store/schema.hpp"

#include "compose/model/error.hpp"
#include "engine/store/sqlite.hpp"
#include "engine/system/file.hpp"

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace engine {

std::string_view name_of(table which) noexcept {
    return table_names.at(static_cast<std::size_t>(which));
}

long version_of(sqlite_connection& connection, const std::filesystem::path& file) {
    const long version = connection.query_number("PRAGMA user_version");
    if (version > schema_version)
        throw compose::error(compose::error_kind::invalid,
            fmt::format(
                "store \"{}\" was written by a newer composed (schema {}, this one knows {}): install "
                "that version again",
                file.native(), version, schema_version));
    return version;
}

std::span<const std::string_view> tables_of(long version) noexcept {
    constexpr std::array<std::size_t, schema_version + 1> counts{0, 7, 8, 9, 10}; // by version
    const std::span all(table_names);
    return version > schema_version ? all
                                    : all.first(counts.at(static_cast<std::size_t>(std::max(version, 0L))));
}

void migrate(sqlite_connection& connection, long from, long to) {
    connection.execute("BEGIN IMMEDIATE");
    for (const std::string_view name : tables_of(to).subspan(tables_of(from).size()))
        connection.execute(
            fmt::format("CREATE TABLE {} (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID", name));
    connection.execute(fmt::format("PRAGMA user_version = {}", to));
    connection.execute("COMMIT");
}

bool is_sound(const std::string& value) noexcept {
    boost::system::error_code failure;
    boost::json::parse(value, failure);
    return !failure;
}

std::filesystem::path copy_of(const std::filesystem::path& file) {
    return file.native() + ".copy";
}

namespace {

std::filesystem::path half_copy_of(const std::filesystem::path& file) {
    return copy_of(file).native() + ".tmp";
}

} // namespace

void write_copy(sqlite_connection& connection, const std::filesystem::path& file) {
    const std::filesystem::path half = half_copy_of(file);
    std::filesystem::remove(half);
    sqlite_statement vacuum(connection, "VACUUM INTO ?1");
    vacuum.bind(1, half.native());
    vacuum.step();
}

void publish_copy(const std::filesystem::path& file) {
    flush_file(half_copy_of(file)); // SQLite does not flush what VACUUM INTO writes
    std::filesystem::rename(half_copy_of(file), copy_of(file));
}

} // namespace engine
