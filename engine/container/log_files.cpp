#include "engine/container/log_files.hpp"

#include "compose/model/service.hpp"

#include <algorithm>

namespace engine {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t block = 64U << 10U;
constexpr std::size_t batch = 256U << 10U;
constexpr std::size_t max_line = 1U << 20U; // the shim's are below 120 KiB; longer ones are not ours
constexpr unsigned max_files = compose::most_log_files;
constexpr unsigned end_of_files = 2; // numbers without a file: one is while files are being renamed

fs::path numbered(const fs::path& file, unsigned number) {
    return number == 0 ? file : fs::path(file.native() + "." + std::to_string(number));
}

} // namespace

void log_files::open_all(const fs::path& file) {
    // Newest first: a rotation in between shows one file twice, which is seen, and never hides one.
    for (unsigned number = 0, missing = 0; number < max_files && missing < end_of_files; ++number) {
        auto next = log_file::open(numbered(file, number));
        missing = next ? 0 : missing + 1;
        const auto same = [&](const log_file& each) { return each.is_same(*next); };
        if (next && std::none_of(files_.begin(), files_.end(), same))
            files_.push_front(std::move(*next));
    }
}

void log_files::open(std::optional<std::size_t> tail, bool follow) {
    open_all(file_);
    if (!former_.empty())
        open_all(former_);
    if (!follow)
        end_ = files_.empty() || !files_.back().is_plain() ? 0 : files_.back().end_of_lines();
    if (tail)
        seek_tail(*tail);
}

void log_files::seek_tail(std::size_t lines) {
    std::size_t keep = 0;
    for (auto each = files_.rbegin(); each != files_.rend(); ++each) {
        ++keep;
        if (lines == 0) {
            each->seek_end();
            break;
        }
        const bool newest = each == files_.rbegin();
        each->seek_tail(lines, newest ? end_ : std::nullopt);
        if (lines == 0)
            break;
    }
    while (files_.size() > keep)
        files_.pop_front();
}

std::vector<std::string> log_files::read() {
    std::vector<std::string> lines;
    std::string bytes(block, '\0');
    for (std::size_t total = 0; total < batch;) {
        const ssize_t got = files_.empty() ? 0 : files_.front().read(bytes.data(), readable());
        if (got <= 0) {
            if (!advance())
                break;
            continue;
        }
        total += static_cast<std::size_t>(got);
        carry_.append(bytes, 0, static_cast<std::size_t>(got));
        std::size_t begin = 0;
        for (std::size_t end = carry_.find('\n'); end != std::string::npos; end = carry_.find('\n', begin)) {
            lines.push_back(carry_.substr(begin, end - begin));
            begin = end + 1;
        }
        carry_.erase(0, begin);
        if (carry_.size() > max_line)
            carry_.clear();
    }
    return lines;
}

// How much may be read from the front file at once.
std::size_t log_files::readable() const {
    if (!end_ || files_.size() > 1 || !files_.front().is_plain())
        return block;
    const off_t left = *end_ - files_.front().position();
    return static_cast<std::size_t>(std::clamp<off_t>(left, 0, static_cast<off_t>(block)));
}

// At the end of the front file: on to the one after it. False when there is none, and when the front file has
// grown meanwhile, as then it is not finished.
bool log_files::advance() {
    if (files_.size() < 2 && (end_ || !open_successor()))
        return false;
    if (files_.size() >= 2) {
        if (files_.front().has_more())
            return true; // written just before it was rotated away
        files_.pop_front();
        carry_.clear();
    }
    return true;
}

bool log_files::open_successor() {
    if (files_.empty()) {
        auto first = log_file::open(file_);
        if (first)
            files_.push_back(std::move(*first));
        return first.has_value();
    }
    std::optional<log_file> newer;
    for (unsigned number = 0, missing = 0; number < max_files && missing < end_of_files; ++number) {
        auto candidate = log_file::open(numbered(file_, number));
        missing = candidate ? 0 : missing + 1;
        if (candidate && candidate->is_same(files_.front()))
            break;
        if (candidate)
            newer = std::move(candidate);
    }
    if (!newer)
        return false;
    files_.push_back(std::move(*newer));
    return true;
}

} // namespace engine
