#include "engine/container/layered_files.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <deque>

namespace engine {

namespace fs = std::filesystem;

namespace {

constexpr int max_symlinks = 40; // the kernel's own limit

using folder_stack = std::vector<unique_fd>; // the folders that overlayfs merges into one, topmost first

struct found_entry {
    enum class kind { none, folder, file, symlink } type = kind::none;
    folder_stack folders; // kind::folder
    unique_fd file;       // kind::file
    std::string target;   // kind::symlink
};

bool is_opaque(const unique_fd& folder) {
    char value = 0;
    return ::fgetxattr(folder.get(), "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

std::string read_symlink(int folder, const std::string& name) {
    char target[4096];
    const ssize_t length = ::readlinkat(folder, name.c_str(), target, sizeof target);
    return length > 0 ? std::string(target, static_cast<std::size_t>(length)) : std::string();
}

found_entry find_entry(const folder_stack& folders, const std::string& name) {
    found_entry found;
    for (const unique_fd& folder : folders) {
        struct stat status {};
        if (::fstatat(folder.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (!S_ISDIR(status.st_mode)) {
            const bool whiteout = S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0);
            if (whiteout || found.type == found_entry::kind::folder)
                break;
            if (S_ISLNK(status.st_mode)) {
                found.type = found_entry::kind::symlink;
                found.target = read_symlink(folder.get(), name);
            } else if (S_ISREG(status.st_mode)) {
                found.file = unique_fd(
                    ::openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
                found.type = found.file ? found_entry::kind::file : found_entry::kind::none;
            }
            break;
        }
        unique_fd below(
            ::openat(folder.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!below)
            break;
        found.type = found_entry::kind::folder;
        const bool opaque = is_opaque(below);
        found.folders.push_back(std::move(below));
        if (opaque)
            break;
    }
    return found;
}

void push_front(std::deque<std::string>& words, std::string_view path) {
    std::vector<std::string> added;
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const std::string_view word = path.substr(0, slash);
        if (!word.empty() && word != ".")
            added.emplace_back(word);
        path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    }
    words.insert(words.begin(), added.begin(), added.end());
}

folder_stack open_roots(const std::vector<fs::path>& folders) {
    folder_stack roots;
    for (const fs::path& folder : folders)
        roots.push_back(open_file(folder, O_RDONLY | O_DIRECTORY));
    return roots;
}

std::string read_all(const unique_fd& file, std::string_view path, std::size_t limit) {
    std::string text;
    std::size_t used = 0;
    for (ssize_t got = 1; got > 0 && used <= limit; used += static_cast<std::size_t>(got)) {
        if (used == text.size())
            text.resize(std::min(std::max<std::size_t>(4096, used * 2), limit + 1));
        got = ::read(file.get(), text.data() + used, text.size() - used);
        if (got < 0)
            throw_errno("read", path);
    }
    if (used > limit)
        throw compose::error(compose::error_kind::exhausted,
            fmt::format("\"{}\" of the image is larger than the limit of {} bytes", path, limit));
    text.resize(used);
    return text;
}

} // namespace

std::optional<std::string> read_layered_file(
    const std::vector<fs::path>& folders, std::string_view path, std::size_t limit) {
    std::vector<folder_stack> trail; // from the root down to where we are: ".." goes back on it
    trail.push_back(open_roots(folders));
    std::deque<std::string> words;
    push_front(words, path);
    int symlinks = 0;
    while (!words.empty()) {
        const std::string word = std::move(words.front());
        words.pop_front();
        if (word == "..") {
            if (trail.size() > 1)
                trail.pop_back();
            continue;
        }
        found_entry entry = find_entry(trail.back(), word);
        if (entry.type == found_entry::kind::file && words.empty())
            return read_all(entry.file, path, limit);
        if (entry.type == found_entry::kind::symlink) {
            if (++symlinks > max_symlinks)
                throw compose::error(compose::error_kind::invalid,
                    fmt::format("\"{}\" of the image is a circle of symlinks", path));
            if (entry.target.starts_with('/'))
                trail.resize(1);
            push_front(words, entry.target);
        } else if (entry.type == found_entry::kind::folder) {
            trail.push_back(std::move(entry.folders));
        } else {
            return std::nullopt;
        }
    }
    return std::nullopt;
}

} // namespace engine
