#include "engine/store/repair.hpp"

#include "compose/model/error.hpp"
#include "engine/store/schema.hpp"
#include "engine/store/sqlite.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

namespace engine {

namespace fs = std::filesystem;

namespace {

using rows = std::map<std::string, std::string>;

/// What reading a table from one end has given.
struct reading {
    rows sound;
    std::set<std::string> spoilt; // keys of values that are none
    std::string last;             // the last key that was seen; empty: none
    bool to_the_end = false;
};

/// Reads on until what is damaged.
reading read_table(sqlite_connection& from, std::string_view table, std::string_view direction) {
    reading found;
    try {
        sqlite_statement statement(
            from, fmt::format("SELECT key, value FROM {} ORDER BY key {}", table, direction));
        while (statement.step()) {
            found.last = statement.text(0);
            std::string value = statement.text(1);
            if (is_sound(value))
                found.sound.emplace(found.last, std::move(value));
            else
                found.spoilt.insert(found.last);
        }
        found.to_the_end = true;
    } catch (const compose::error&) {
        // That is what it is about.
    }
    return found;
}

repaired_table repair_table(
    sqlite_connection* damaged, sqlite_connection* copy, std::string_view name, rows& into) {
    repaired_table report{.name = std::string(name)};
    reading forth;
    reading back;
    if (damaged != nullptr)
        forth = read_table(*damaged, name, "ASC");
    if (damaged != nullptr && !forth.to_the_end)
        back = read_table(*damaged, name, "DESC");
    report.whole = forth.to_the_end && forth.spoilt.empty();
    into = std::move(forth.sound);
    into.merge(back.sound);
    report.read = into.size();
    if (report.whole || copy == nullptr)
        return report;
    // What lies outside of the damage and is not there any more was removed since.
    const auto is_in_damage = [&](const std::string& key) {
        const bool between = !forth.to_the_end && key > forth.last && (back.last.empty() || key < back.last);
        return between || forth.spoilt.contains(key) || back.spoilt.contains(key);
    };
    for (auto& [key, value] : read_table(*copy, name, "ASC").sound)
        if (is_in_damage(key) && into.emplace(key, std::move(value)).second)
            ++report.from_copy;
    return report;
}

std::unique_ptr<sqlite_connection> open_if_there(const fs::path& file) {
    if (!fs::exists(file))
        return nullptr;
    auto opened = std::make_unique<sqlite_connection>(file);
    try {
        opened->query_number("PRAGMA user_version");
    } catch (const compose::error& failure) {
        if (failure.kind() != compose::error_kind::invalid)
            throw;
        return nullptr;
    }
    return opened;
}

fs::path unused_name(const fs::path& file) {
    for (unsigned number = 1;; ++number)
        if (fs::path name = fmt::format("{}.damaged-{}", file.native(), number); !fs::exists(name))
            return name;
}

void write_rows(sqlite_connection& into, std::string_view table, const rows& all) {
    sqlite_statement statement(into, fmt::format("INSERT INTO {} VALUES (?1, ?2)", table));
    for (const auto& [key, value] : all) {
        statement.bind(1, key);
        statement.bind(2, value);
        statement.step();
        statement.reset();
    }
}

} // namespace

namespace {

bool is_whole(sqlite_connection& connection, const repair_report& report) {
    const bool read = std::all_of(
        report.tables.begin(), report.tables.end(), [](const repaired_table& each) { return each.whole; });
    try {
        return read && connection.query_text("PRAGMA quick_check(1)") == "ok";
    } catch (const compose::error&) {
        return false;
    }
}

void keep_damaged(const fs::path& file, const fs::path& as) {
    for (const char* part : {"", "-wal", "-shm"})
        if (const fs::path from = file.native() + part; fs::exists(from))
            fs::copy_file(from, as.native() + part);
}

} // namespace

repair_report repair_store(const fs::path& file) {
    if (!fs::exists(file) && !fs::exists(copy_of(file)))
        throw compose::error(compose::error_kind::not_found,
            fmt::format("store \"{}\": there is none to repair", file.native()));
    repair_report report;
    report.copy = fs::exists(copy_of(file)) ? fs::last_write_time(copy_of(file)) : fs::file_time_type::min();
    const fs::path half = file.native() + ".repair";
    fs::remove(half);
    {
        const auto damaged = open_if_there(file);
        const auto copy = open_if_there(copy_of(file));
        if (!damaged && !copy)
            throw compose::error(compose::error_kind::invalid,
                fmt::format(
                    "store \"{}\": nothing of it can be read and there is no copy; put a backup of it "
                    "in its place",
                    file.native()));
        const long version =
            std::max(damaged ? version_of(*damaged, file) : 0, copy ? version_of(*copy, copy_of(file)) : 0);
        sqlite_connection fresh(half);
        migrate(fresh, 0, version);
        fresh.execute("BEGIN IMMEDIATE");
        for (const std::string_view name : tables_of(version)) {
            rows all;
            report.tables.push_back(repair_table(damaged.get(), copy.get(), name, all));
            write_rows(fresh, name, all);
        }
        fresh.execute("COMMIT");
        report.needed = !damaged || !is_whole(*damaged, report);
    }
    if (!report.needed) {
        fs::remove(half);
        return report;
    }
    if (fs::exists(file)) {
        report.damaged = unused_name(file);
        keep_damaged(file, report.damaged);
    }
    // A log of the damaged file would be taken for one of the new.
    fs::remove(file.native() + "-wal");
    fs::remove(file.native() + "-shm");
    flush_file(half);
    fs::rename(half, file);
    return report;
}

} // namespace engine
