#pragma once

#include "engine/system/blocking.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

/// The kinds of records, each a table of state.db. The names are part of the format: never change one.
enum class table { project, revision, container, network, lease, volume, image, operation, secret, mount };

/// One record: its key within the table and its value, JSON text in the writer's own versioned form.
struct record {
    std::string key;
    std::string value;

    bool operator==(const record&) const = default;
};

/// The durable part of the daemon: what was asked for, and what must not be forgotten. Owns state.db.
///
/// Most is read at start, when the other parts build what they hold in memory; from then on the store is
/// written, and only what is too much for memory, as old revisions, is looked up. put() and erase() of one
/// turn of the event loop share one transaction (group commit), flushed by a worker while the loop goes on;
/// `co_await durable()` resumes once everything queued before it is on disk. A reply to a person and an
/// effect on the host both wait for it: intent first.
///
/// After a crash the file holds a prefix of the transactions, each whole. A file of a newer schema, or a
/// corrupt one, is refused at open with what to do; nothing is ever repaired silently (repair.hpp). A whole
/// copy beside it is made at open, at the end, and whenever refresh_copy() is called.
class store {
  public:
    /// Opens or makes `file`. Throws error{conflict} when another process has it, error{invalid} when it is
    /// corrupt or newer than this program.
    store(executors executors, std::filesystem::path file);
    ~store();

    /// All records of a table in order of their keys. For the start, while nothing is written: throws
    /// error{internal} later, when the connection is a worker's.
    std::vector<record> load(table from) const;

    /// The records of a table whose keys begin with `prefix` (not empty), with all that was queued before, in
    /// order of their keys. Throws as durable().
    task<std::vector<record>> find(table from, std::string prefix);

    /// Queues a record for the transaction of this turn, replacing one with the same key.
    void put(table into, std::string key, std::string value);
    void erase(table from, std::string key);

    /// Resumes when all that was queued before is on disk. Throws error{exhausted} or error{internal} when
    /// the disk refused; what was queued is then tried again with the next transaction.
    task<> durable();

    /// Makes the copy anew when something was written since. What fails is logged: the former one is kept.
    task<> refresh_copy();

    /// Flushes made since the start: `make bench` prints it.
    unsigned long flushes() const noexcept;

  private:
    struct implementation;
    std::shared_ptr<implementation> implementation_;
};

} // namespace engine
