#include "engine/store/sqlite.hpp"

#include "compose/model/error.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

namespace engine {

namespace {

compose::error_kind kind_of(int code) noexcept {
    switch (code & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return compose::error_kind::invalid;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return compose::error_kind::conflict;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
        return compose::error_kind::exhausted;
    default:
        return compose::error_kind::internal;
    }
}

} // namespace

void sqlite_connection::closer::operator()(sqlite3* handle) const noexcept {
    ::sqlite3_close_v2(handle);
}

sqlite_connection::sqlite_connection(const std::filesystem::path& file) : file_(file) {
    sqlite3* handle = nullptr;
    const int result = ::sqlite3_open_v2(file.c_str(), &handle,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_PRIVATECACHE,
        nullptr);
    handle_.reset(handle);
    if (result != SQLITE_OK)
        fail("open");
    ::sqlite3_extended_result_codes(handle, 1);
}

void sqlite_connection::fail(std::string_view what) const {
    const int code = ::sqlite3_extended_errcode(handle_.get());
    if ((code & 0xff) == SQLITE_BUSY)
        throw compose::error(compose::error_kind::conflict,
            fmt::format(
                "store \"{}\": another composed uses it; stop that one, or give this one a folder of its "
                "own with --state",
                file_.native()));
    throw compose::error(kind_of(code),
        fmt::format("{} store \"{}\": {}{}", what, file_.native(), ::sqlite3_errmsg(handle_.get()),
            (code & 0xFF) == SQLITE_FULL ? "; free space on its disk" : ""));
}

void sqlite_connection::execute(const std::string& sql) {
    if (::sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
        fail("write");
}

long sqlite_connection::query_number(const std::string& sql) {
    sqlite_statement statement(*this, sql);
    return statement.step() ? statement.number(0) : 0;
}

std::string sqlite_connection::query_text(const std::string& sql) {
    sqlite_statement statement(*this, sql);
    return statement.step() ? statement.text(0) : std::string();
}

void sqlite_statement::finalizer::operator()(sqlite3_stmt* handle) const noexcept {
    ::sqlite3_finalize(handle);
}

sqlite_statement::sqlite_statement(const sqlite_connection& connection, std::string_view sql)
    : connection_(connection) {
    sqlite3_stmt* handle = nullptr;
    const int result = ::sqlite3_prepare_v3(connection.handle_.get(), sql.data(),
        static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
    handle_.reset(handle);
    if (result != SQLITE_OK)
        connection.fail("read");
}

void sqlite_statement::bind(int position, std::string_view text) {
    const int result =
        ::sqlite3_bind_text64(handle_.get(), position, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
    if (result != SQLITE_OK)
        connection_.fail("write");
}

bool sqlite_statement::step() {
    switch (::sqlite3_step(handle_.get())) {
    case SQLITE_ROW:
        return true;
    case SQLITE_DONE:
        return false;
    default:
        connection_.fail("use");
    }
}

std::string sqlite_statement::text(int column) const {
    const auto* text = ::sqlite3_column_text(handle_.get(), column);
    const auto size = static_cast<std::size_t>(::sqlite3_column_bytes(handle_.get(), column));
    return text == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(text), size);
}

long sqlite_statement::number(int column) const {
    return ::sqlite3_column_int64(handle_.get(), column);
}

void sqlite_statement::reset() {
    ::sqlite3_reset(handle_.get());
    ::sqlite3_clear_bindings(handle_.get());
}

} // namespace engine
