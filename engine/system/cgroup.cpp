#include "engine/system/cgroup.hpp"

#include "compose/model/error.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <sstream>
#include <string_view>
#include <thread>

namespace engine {

namespace fs = std::filesystem;

namespace {

constexpr auto poll_interval = std::chrono::milliseconds(2); // cgroup files of v1 send no events
constexpr auto freeze_limit = std::chrono::seconds(1);
constexpr auto kill_limit = std::chrono::seconds(2);

// Children before parents, as only empty folders can be removed.
void collect(const fs::path& folder, std::vector<fs::path>& found) {
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored))
        if (entry.is_directory(ignored))
            collect(entry.path(), found);
    if (fs::is_directory(folder, ignored))
        found.push_back(folder);
}

std::string first_word(const fs::path& file) {
    const std::string text = read_file_if_there(file).value_or("");
    return text.substr(0, text.find_first_of(" \n"));
}

} // namespace

cgroup_mode detect_cgroup_mode(const fs::path& root) {
    const auto is_cgroup2 = [](const fs::path& folder) {
        struct statfs status {};
        return ::statfs(folder.c_str(), &status) == 0 &&
               static_cast<unsigned long>(status.f_type) == CGROUP2_SUPER_MAGIC;
    };
    if (is_cgroup2(root))
        return cgroup_mode::unified;
    return is_cgroup2(root / "unified") ? cgroup_mode::hybrid : cgroup_mode::legacy;
}

container_cgroup::container_cgroup(cgroup_mode mode, std::string path, fs::path root)
    : mode_(mode), path_(std::move(path)), root_(std::move(root)) {}

fs::path container_cgroup::oom_file() const {
    return mode_ == cgroup_mode::unified ? root_ / path_ / "memory.events"
                                         : root_ / "memory" / path_ / "memory.oom_control";
}

std::vector<fs::path> container_cgroup::folders() const {
    std::vector<fs::path> found;
    if (mode_ == cgroup_mode::unified) {
        collect(root_ / path_, found);
        return found;
    }
    std::error_code ignored;
    for (const fs::directory_entry& hierarchy : fs::directory_iterator(root_, ignored))
        if (!hierarchy.is_symlink(ignored))
            collect(hierarchy.path() / path_, found);
    return found;
}

std::vector<int> container_cgroup::processes() const {
    std::vector<int> all;
    for (const fs::path& folder : folders()) {
        std::istringstream lines(read_file_if_there(folder / "cgroup.procs").value_or(""));
        for (int pid = 0; lines >> pid;)
            all.push_back(pid);
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

std::set<std::string> container_cgroup::children() const {
    std::set<std::string> names;
    std::error_code ignored;
    const auto look = [&](const fs::path& folder) {
        for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored))
            if (entry.is_directory(ignored))
                names.insert(entry.path().filename());
    };
    if (mode_ == cgroup_mode::unified)
        look(root_ / path_);
    else
        for (const fs::directory_entry& hierarchy : fs::directory_iterator(root_, ignored))
            look(hierarchy.path() / path_);
    return names;
}

void container_cgroup::write(
    const std::string& controller, const std::string& file, std::string value) const {
    const fs::path place = folder(controller);
    if (value.empty()) // the kernel refuses an empty list where there are processes (cpuset.c,
                       // validate_change)
        value = read_file(place.parent_path() / (mode_ == cgroup_mode::unified ? file + ".effective" : file));
    write_kernel_file(place / file, value.empty() ? "\n" : value);
}

std::int64_t container_cgroup::memory_held() const {
    std::istringstream lines(read_file_if_there(root_ / path_ / "memory.stat").value_or(""));
    std::int64_t held = 0;
    std::string name;
    for (std::int64_t bytes = 0; lines >> name >> bytes;)
        if (name == "anon" || name == "shmem")
            held += bytes;
    return held;
}

bool container_cgroup::is_frozen() const {
    if (mode_ != cgroup_mode::unified)
        return first_word(folder("freezer") / "freezer.state") == "FROZEN";
    return read_file_if_there(folder({}) / "cgroup.events").value_or("").find("frozen 1") !=
           std::string::npos;
}

fs::path container_cgroup::folder(const std::string& controller) const {
    return mode_ == cgroup_mode::unified ? root_ / path_ : root_ / controller / path_;
}

void container_cgroup::freeze(bool frozen) const {
    const bool unified = mode_ == cgroup_mode::unified;
    const fs::path folder = this->folder("freezer");
    const fs::path file = folder / (unified ? "cgroup.freeze" : "freezer.state");
    const std::string_view on = unified ? "1" : "FROZEN";
    const std::string_view off = unified ? "0" : "THAWED";
    write_kernel_file(file, frozen ? on : off);
    const auto limit = std::chrono::steady_clock::now() + freeze_limit;
    while (is_frozen() != frozen) {
        if (std::chrono::steady_clock::now() > limit) {
            if (frozen) // never leave it half frozen: nothing could be killed then
                write_kernel_file(file, off);
            throw compose::error(compose::error_kind::unavailable,
                fmt::format("{} \"{}\": the processes do not follow", frozen ? "freeze" : "thaw", path_));
        }
        std::this_thread::sleep_for(poll_interval);
    }
}

bool container_cgroup::destroy() const {
    const auto limit = std::chrono::steady_clock::now() + kill_limit;
    std::error_code ignored;
    const fs::path frozen = root_ / "freezer" / path_ / "freezer.state";
    if (mode_ != cgroup_mode::unified && fs::exists(frozen, ignored))
        write_kernel_file(frozen, "THAWED"); // a frozen process on v1 does not die of KILL
    for (;;) {
        const std::vector<int> pids = processes();
        if (pids.empty())
            break;
        for (const int pid : pids)
            if (pid > 1)
                ::kill(pid, SIGKILL);
        if (std::chrono::steady_clock::now() > limit)
            return false;
        std::this_thread::sleep_for(poll_interval);
    }
    for (const fs::path& folder : folders())
        ::rmdir(folder.c_str());
    return true;
}

void container_cgroup::remove_if_empty() const {
    if (mode_ == cgroup_mode::unified) {
        ::rmdir((root_ / path_).c_str());
        return;
    }
    std::error_code ignored;
    for (const fs::directory_entry& hierarchy : fs::directory_iterator(root_, ignored))
        ::rmdir((hierarchy.path() / path_).c_str());
}

} // namespace engine
