#include "engine/container/logs.hpp"

#include "compose/model/error.hpp"
#include "engine/container/log_files.hpp"
#include "engine/system/folder_watch.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include <array>
#include <charconv>
#include <ctime>

namespace engine {

namespace json = boost::json;

namespace {

constexpr std::size_t max_depth = 4;

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
    int value = 0;
    if (text.size() < at + count)
        return std::nullopt;
    const char* begin = text.data() + at;
    const auto [end, failure] = std::from_chars(begin, begin + count, value);
    if (failure != std::errc() || end != begin + count)
        return std::nullopt;
    return value;
}

// RFC 3339 in UTC with up to nine digits of a second, as dockerd and our shim write it.
std::optional<std::chrono::system_clock::time_point> parse_time(std::string_view text) {
    const auto year = digits(text, 0, 4);
    const auto month = digits(text, 5, 2);
    const auto day = digits(text, 8, 2);
    const auto hour = digits(text, 11, 2);
    const auto minute = digits(text, 14, 2);
    const auto second = digits(text, 17, 2);
    if (!year || !month || !day || !hour || !minute || !second || !text.ends_with('Z'))
        return std::nullopt;
    std::tm parts{};
    parts.tm_year = *year - 1900;
    parts.tm_mon = *month - 1;
    parts.tm_mday = *day;
    parts.tm_hour = *hour;
    parts.tm_min = *minute;
    parts.tm_sec = *second;
    std::int64_t nanoseconds = 0;
    if (text.size() > 20 && text[19] == '.') {
        std::int64_t unit = 100'000'000;
        for (std::size_t at = 20; at + 1 < text.size() && unit > 0; ++at, unit /= 10)
            nanoseconds += (text[at] - '0') * unit;
    }
    return std::chrono::system_clock::from_time_t(::timegm(&parts)) + std::chrono::nanoseconds(nanoseconds);
}

const json::string* text_of(const json::object& object, std::string_view key) {
    const json::value* found = object.if_contains(key);
    return found != nullptr ? found->if_string() : nullptr;
}

} // namespace

std::optional<log_entry> parse_log_line(std::string_view line) {
    std::array<unsigned char, 4096> space;
    json::monotonic_resource memory(space.data(), space.size());
    json::parse_options options;
    options.max_depth = max_depth;
    boost::system::error_code failure;
    const json::value parsed = json::parse({line.data(), line.size()}, failure, &memory, options);
    const json::object* object = failure ? nullptr : parsed.if_object();
    if (object == nullptr)
        return std::nullopt;
    const json::string* text = text_of(*object, "log");
    const json::string* stream = text_of(*object, "stream");
    const json::string* written = text_of(*object, "time");
    if (text == nullptr || written == nullptr)
        return std::nullopt;
    const auto time = parse_time({written->data(), written->size()});
    if (!time)
        return std::nullopt;
    const bool err = stream != nullptr && *stream == "stderr";
    return log_entry{.stream = err ? log_stream::err : log_stream::out,
        .time = *time,
        .text = std::string(text->data(), text->size())};
}

struct log_reader::implementation {
    implementation(
        executors given, std::filesystem::path path, log_query wanted, std::filesystem::path former)
        : pools(given), file(std::move(path)), query(wanted), files(file, std::move(former)) {}

    struct batch {
        std::vector<log_entry> entries;
        bool progress = false; // lines were read, though none may have been asked for
        bool past_end = false; // younger than `until`
    };

    // On a worker.
    batch read() {
        if (!opened) {
            files.open(query.tail, query.follow);
            opened = true;
        }
        batch result;
        for (const std::string& line : files.read()) {
            result.progress = true;
            auto entry = parse_log_line(line);
            if (!entry || (query.since && entry->time < *query.since))
                continue;
            if (query.until && entry->time > *query.until) {
                result.past_end = true;
                break;
            }
            if (entry->stream == log_stream::out ? query.out : query.err)
                result.entries.push_back(std::move(*entry));
        }
        return result;
    }

    // The folder, not the file: it tells of writes and of rotation alike.
    void watch() {
        if (!changes && query.follow && !finished)
            changes = std::make_unique<folder_watch>(pools.io, file.parent_path());
    }

    executors pools;
    std::filesystem::path file;
    log_query query;
    log_files files;
    std::unique_ptr<folder_watch> changes; // of one that follows
    bool opened = false;
    bool ended = false;
    bool past_end = false; // of what was asked for
    bool finished = false;
};

log_reader::log_reader(
    executors executors, std::filesystem::path file, log_query query, std::filesystem::path former)
    : implementation_(
          std::make_shared<implementation>(executors, std::move(file), query, std::move(former))) {}

log_reader::~log_reader() {
    if (implementation_)
        finish();
}

log_reader& log_reader::operator=(log_reader&& other) noexcept {
    if (this != &other) {
        if (implementation_)
            finish();
        implementation_ = std::move(other.implementation_);
    }
    return *this;
}

task<std::vector<log_entry>> log_reader::next() {
    const auto self = implementation_;
    while (!self->ended) {
        self->watch();
        const bool last_look = self->finished || !self->query.follow;
        auto work = [self] { return self->read(); };
        implementation::batch batch = co_await blocking(self->pools.workers, work);
        self->ended = self->past_end = batch.past_end;
        if (!batch.entries.empty())
            co_return std::move(batch.entries);
        if (batch.progress)
            continue;
        if (last_look && (self->finished || !self->query.follow)) {
            self->ended = true;
        } else if (!self->finished && self->changes) {
            co_await self->changes->changed();
        }
    }
    co_return std::vector<log_entry>();
}

void log_reader::go_on() {
    if (!implementation_->finished || implementation_->past_end)
        return;
    implementation_->finished = false;
    implementation_->ended = false;
    implementation_->changes.reset(); // it was cancelled
}

void log_reader::finish() {
    implementation_->finished = true;
    if (implementation_->changes)
        implementation_->changes->cancel();
}

task<std::vector<std::string>> last_lines(executors on, std::filesystem::path file, std::size_t count) {
    std::vector<std::string> lines;
    try {
        log_query query;
        query.tail = count;
        log_reader reader(on, std::move(file), query);
        for (;;) {
            std::vector<log_entry> some = co_await reader.next();
            if (some.empty())
                break;
            for (log_entry& each : some) {
                while (each.text.ends_with('\n'))
                    each.text.pop_back();
                lines.push_back(std::move(each.text));
            }
        }
    } catch (const compose::error& failure) {
        spdlog::debug("{}", failure.what());
    }
    co_return lines;
}

} // namespace engine
