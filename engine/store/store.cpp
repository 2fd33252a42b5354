#include "engine/store/store.hpp"

#include "compose/model/error.hpp"
#include "engine/store/sqlite.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <array>
#include <exception>
#include <optional>
#include <span>
#include <utility>

namespace engine {

namespace {

constexpr std::array<std::string_view, 8> table_names{
    "project", "revision", "container", "network", "lease", "volume", "image", "operation"};

// Raised by one for each change of the tables, together with a step in migrate().
constexpr long schema_version = 2;

std::string_view name_of(table which) noexcept {
    return table_names.at(static_cast<std::size_t>(which));
}

struct change {
    table where;
    std::string key;
    std::optional<std::string> value; // nothing: erase
};

void migrate(sqlite_connection& connection, long from) {
    connection.execute("BEGIN IMMEDIATE");
    const std::size_t there = from < 1 ? 0 : 7; // version 2 added the last
    for (const std::string_view name : std::span(table_names).subspan(there))
        connection.execute(
            fmt::format("CREATE TABLE {} (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID", name));
    connection.execute(fmt::format("PRAGMA user_version = {}", schema_version));
    connection.execute("COMMIT");
}

void prepare(sqlite_connection& connection, const std::filesystem::path& file) {
    // The lock is held until the process ends, so a second daemon on one state folder is refused at once.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE");
    // WAL with synchronous FULL: one flush a transaction, and each is durable when COMMIT returns.
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    if (const std::string verdict = connection.query_text("PRAGMA quick_check(1)"); verdict != "ok")
        throw compose::error(compose::error_kind::invalid,
            fmt::format("store \"{}\" is damaged ({}): move it away and restore a backup, or recover what is "
                        "readable with: sqlite3 {} .recover | sqlite3 recovered.db",
                file.native(), verdict, file.native()));
    const long version = connection.query_number("PRAGMA user_version");
    if (version > schema_version)
        throw compose::error(compose::error_kind::invalid,
            fmt::format(
                "store \"{}\" was written by a newer composed (schema {}, this one knows {}): install "
                "that version again",
                file.native(), version, schema_version));
    if (version < schema_version)
        migrate(connection, version);
}

void write(sqlite_connection& connection, const std::vector<change>& batch) {
    connection.execute("BEGIN IMMEDIATE");
    try {
        for (const change& entry : batch) {
            const std::string_view name = name_of(entry.where);
            sqlite_statement statement(
                connection, entry.value ? fmt::format("INSERT OR REPLACE INTO {} VALUES (?1, ?2)", name)
                                        : fmt::format("DELETE FROM {} WHERE key = ?1", name));
            statement.bind(1, entry.key);
            if (entry.value)
                statement.bind(2, *entry.value);
            statement.step();
        }
        connection.execute("COMMIT");
    } catch (...) {
        // A failed COMMIT may have rolled back by itself; then this has nothing to do and its own error none
        // to tell.
        try {
            connection.execute("ROLLBACK");
        } catch (const compose::error&) {
        }
        throw;
    }
}

} // namespace

struct store::implementation : std::enable_shared_from_this<implementation> {
    implementation(executors on, const std::filesystem::path& path)
        : executors_(on), file(path), connection(path), flushed(on.io) {
        prepare(connection, file);
    }

    void queue(change entry) {
        pending.push_back(std::move(entry));
        ++queued;
        if (!std::exchange(flushing, true))
            spawn(executors_.io, "store", flush(shared_from_this()));
    }

    static task<> flush(std::shared_ptr<implementation> self);

    executors executors_;
    std::filesystem::path file;
    sqlite_connection connection; // a worker's while `flushing`
    notifier flushed;
    std::vector<change> pending;
    std::exception_ptr failure; // of the last flush
    unsigned long queued = 0;   // changes ever queued
    unsigned long done = 0;     // how many of these are on disk
    unsigned long tried = 0;    // how many of these a flush has been made for
    unsigned long flushes = 0;
    bool flushing = false;
};

task<> store::implementation::flush(std::shared_ptr<implementation> self) {
    // To the end of the loop's queue once, so that everything this turn still writes joins the transaction.
    co_await boost::asio::post(self->executors_.io, boost::asio::use_awaitable);
    while (!self->pending.empty()) {
        const auto batch = std::make_shared<std::vector<change>>(std::exchange(self->pending, {}));
        const unsigned long upto = self->queued;
        self->failure = nullptr;
        try {
            auto work = [self, batch] { write(self->connection, *batch); };
            co_await blocking(self->executors_.workers, work);
            self->done = upto;
        } catch (const compose::error&) {
            self->failure = std::current_exception();
        }
        self->tried = upto;
        ++self->flushes;
        self->flushed.notify_all();
        if (self->failure) {
            // Kept in order before what came since; the next change that is queued tries again.
            batch->insert(batch->end(), std::make_move_iterator(self->pending.begin()),
                std::make_move_iterator(self->pending.end()));
            self->pending = std::move(*batch);
            break;
        }
    }
    self->flushing = false;
}

store::store(executors on, std::filesystem::path file)
    : implementation_(std::make_shared<implementation>(on, file)) {}

store::~store() = default;

std::vector<record> store::load(table from) const {
    std::vector<record> records;
    sqlite_statement statement(
        implementation_->connection, fmt::format("SELECT key, value FROM {} ORDER BY key", name_of(from)));
    while (statement.step())
        records.push_back({.key = statement.text(0), .value = statement.text(1)});
    return records;
}

task<std::vector<record>> store::find(table from, std::string prefix) {
    const auto self = implementation_;
    co_await durable();
    while (self->flushing)
        co_await self->flushed.wait();
    self->flushing = true; // the connection is this one's now
    auto work = [self, from, prefix] {
        std::vector<record> records;
        sqlite_statement statement(self->connection,
            fmt::format(
                "SELECT key, value FROM {} WHERE key >= ?1 AND key < ?2 ORDER BY key", name_of(from)));
        std::string end = prefix;
        ++end.back();
        statement.bind(1, prefix);
        statement.bind(2, end);
        while (statement.step())
            records.push_back({.key = statement.text(0), .value = statement.text(1)});
        return records;
    };
    std::exception_ptr failure;
    std::vector<record> found;
    try {
        found = co_await blocking(self->executors_.workers, work);
    } catch (const compose::error&) {
        failure = std::current_exception();
    }
    self->flushing = false;
    self->flushed.notify_all();
    if (!self->pending.empty() && !std::exchange(self->flushing, true))
        spawn(self->executors_.io, "store", implementation::flush(self));
    if (failure)
        std::rethrow_exception(failure);
    co_return found;
}

void store::put(table into, std::string key, std::string value) {
    implementation_->queue({.where = into, .key = std::move(key), .value = std::move(value)});
}

void store::erase(table from, std::string key) {
    implementation_->queue({.where = from, .key = std::move(key), .value = std::nullopt});
}

task<> store::durable() {
    const auto self = implementation_;
    const unsigned long wanted = self->queued;
    while (self->done < wanted) {
        if (!std::exchange(self->flushing, true))
            spawn(self->executors_.io, "store", implementation::flush(self));
        co_await self->flushed.wait();
        if (self->failure && self->tried >= wanted)
            std::rethrow_exception(self->failure);
    }
}

unsigned long store::flushes() const noexcept {
    return implementation_->flushes;
}

} // namespace engine
