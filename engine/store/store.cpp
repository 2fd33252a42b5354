#include "engine/store/store.hpp"

#include "compose/model/error.hpp"
#include "engine/store/schema.hpp"
#include "engine/store/sqlite.hpp"
#include "engine/system/crash_point.hpp"
#include "engine/system/notifier.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

namespace engine {

namespace {

struct change {
    table where;
    std::string key;
    std::optional<std::string> value; // nothing: erase
};

/// What is wrong with the first value that is none; empty: all are sound.
std::string spoilt_record(sqlite_connection& connection) {
    const long version = connection.query_number("PRAGMA user_version");
    for (const std::string_view name : tables_of(version > schema_version ? 0 : version)) {
        sqlite_statement statement(connection, fmt::format("SELECT key, value FROM {}", name));
        while (statement.step())
            if (!is_sound(statement.text(1)))
                return fmt::format("table {}: the record \"{}\" is no JSON", name, statement.text(0));
    }
    return {};
}

void check_whole(sqlite_connection& connection, const std::filesystem::path& file) {
    std::string verdict;
    try {
        // The lock is held until the process ends, so a second daemon on one state folder is refused at once.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE");
        // WAL with synchronous FULL: one flush a transaction, and each is durable when COMMIT returns.
        connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
        verdict = connection.query_text("PRAGMA quick_check(1)");
    } catch (const compose::error& failure) {
        if (failure.kind() != compose::error_kind::invalid)
            throw;
        verdict = failure.what();
    }
    if (verdict == "ok")
        verdict = spoilt_record(connection);
    if (verdict.empty())
        return;
    std::replace(verdict.begin(), verdict.end(), '\n', ' ');
    throw compose::error(compose::error_kind::invalid,
        fmt::format(
            "store \"{}\" is damaged ({}); containers go on meanwhile. Put together what can be read, and "
            "the rest from its copy, with: composed --repair-store --state {}, and the --instance and --run "
            "of "
            "the daemon",
            file.native(), verdict, file.parent_path().native()));
}

void prepare(sqlite_connection& connection, const std::filesystem::path& file) {
    check_whole(connection, file);
    const long version = version_of(connection, file);
    // An empty one is a new one only where there was none before: else all that runs would be nobody's.
    if (version == 0 && std::filesystem::exists(copy_of(file)))
        throw compose::error(compose::error_kind::invalid,
            fmt::format("store \"{}\" is empty or was missing, but \"{}\" tells of stacks; containers go on "
                        "meanwhile. Put it together from that copy with: composed --repair-store --state {}, "
                        "with the --instance and --run of the daemon. To begin anew, remove both",
                file.native(), copy_of(file).native(), file.parent_path().native()));
    if (version < schema_version)
        migrate(connection, version);
    write_copy(connection, file);
    publish_copy(file);
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
        crash_point("store commit", "before");
        connection.execute("COMMIT");
        crash_point("store commit", "after");
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

    /// The connection is nobody's again.
    void release() {
        in_use = false;
        flushing = false;
        flushed.notify_all();
        if (!pending.empty() && !failure && !std::exchange(flushing, true))
            spawn(executors_.io, "store", flush(shared_from_this()));
    }

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
    bool in_use = false;       // the connection, by a worker
    bool copy_pending = false; // something has changed since the last one
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
            self->in_use = true;
            co_await blocking(self->executors_.workers, work);
            self->done = upto;
        } catch (const compose::error&) {
            self->failure = std::current_exception();
        }
        self->in_use = false;
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
    self->copy_pending = true;
    self->release();
}

store::store(executors on, std::filesystem::path file)
    : implementation_(std::make_shared<implementation>(on, file)) {}

store::~store() {
    if (!implementation_->copy_pending || implementation_->in_use)
        return;
    try {
        write_copy(implementation_->connection, implementation_->file);
        publish_copy(implementation_->file);
    } catch (const std::exception& failure) {
        spdlog::warn("copy of the store: {}; the former one is kept", failure.what());
    }
}

std::vector<record> store::load(table from) const {
    if (implementation_->in_use)
        throw compose::error(compose::error_kind::internal,
            fmt::format("read table {} of the store: it is being written; use find()", name_of(from)));
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
    self->in_use = true;
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
    self->release();
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

task<> store::refresh_copy() {
    const auto self = implementation_;
    if (!self->copy_pending)
        co_return;
    while (self->flushing)
        co_await self->flushed.wait();
    self->flushing = true; // the connection is this one's now
    self->in_use = true;
    self->copy_pending = false;
    std::string failure;
    try {
        auto work = [self] { write_copy(self->connection, self->file); };
        co_await blocking(self->executors_.workers, work);
    } catch (const std::exception& caught) {
        failure = caught.what();
    }
    self->release();
    try {
        auto work = [file = self->file] { publish_copy(file); };
        if (failure.empty())
            co_await blocking(self->executors_.workers, work);
    } catch (const std::exception& caught) {
        failure = caught.what();
    }
    if (!failure.empty())
        spdlog::warn("copy of the store: {}; the former one is kept", failure);
}

unsigned long store::flushes() const noexcept {
    return implementation_->flushes;
}

} // namespace engine
