#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace engine {

/// One connection to an SQLite file, for one thread at a time. Every call throws error{invalid} for a file
/// that is no database or a damaged one, error{conflict} for one that is in use, error{exhausted} for a full
/// disk.
class sqlite_connection {
  public:
    explicit sqlite_connection(const std::filesystem::path& file);

    /// Runs statements that give no rows.
    void execute(const std::string& sql);

    /// The first column of the first row, as a number.
    long query_number(const std::string& sql);

    /// The first column of the first row, as text.
    std::string query_text(const std::string& sql);

    [[noreturn]] void fail(std::string_view what) const;

  private:
    friend class sqlite_statement;
    struct closer {
        void operator()(sqlite3* handle) const noexcept;
    };
    std::filesystem::path file_;
    std::unique_ptr<sqlite3, closer> handle_;
};

/// A prepared statement. The connection must outlive it.
class sqlite_statement {
  public:
    sqlite_statement(const sqlite_connection& connection, std::string_view sql);

    /// Positions count from 1. The text must live until the next reset().
    void bind(int position, std::string_view text);

    /// True while there is a row.
    bool step();
    std::string text(int column) const;
    long number(int column) const;
    void reset();

  private:
    struct finalizer {
        void operator()(sqlite3_stmt* handle) const noexcept;
    };
    const sqlite_connection& connection_;
    std::unique_ptr<sqlite3_stmt, finalizer> handle_;
};

} // namespace engine
