#include "engine/container/former_logs.hpp"

#include <algorithm>
#include <system_error>
#include <vector>

namespace engine {

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> entries_of(const fs::path& folder) {
    std::vector<fs::path> found;
    std::error_code none;
    for (const fs::directory_entry& each : fs::directory_iterator(folder, none))
        found.push_back(each.path());
    return found;
}

bool is_old(const fs::path& kept) {
    std::error_code failure;
    const auto moved = fs::last_write_time(kept, failure);
    return failure || fs::file_time_type::clock::now() - moved > former_log_kept;
}

/// FILE, FILE.N or FILE.N.gz; what the shim had begun to compress is not.
bool is_of_log(const fs::path& file, const fs::path& each) {
    const std::string name = each.filename();
    return name.starts_with(file.filename().native()) && !name.ends_with(".tmp");
}

} // namespace

void former_logs::keep(const fs::path& file, const std::string& project, const std::string& instance) const {
    const fs::path target = folder_ / project / instance;
    const fs::path half = folder_ / project / ("." + instance);
    std::error_code failure;
    for (const fs::path& each : entries_of(file.parent_path())) {
        if (!is_of_log(file, each))
            continue;
        fs::create_directories(half, failure);
        fs::rename(each, half / each.filename(), failure);
    }
    if (!fs::exists(half, failure))
        return;
    fs::remove_all(target, failure);
    fs::rename(half, target, failure);
}

fs::path former_logs::find(const std::string& project, const std::string& instance) const {
    const fs::path kept = folder_ / project / instance;
    if (is_old(kept))
        return {};
    constexpr std::string_view end = "-json.log";
    for (const fs::path& each : entries_of(kept))
        if (const std::string name = each.filename(); name.find(end) != std::string::npos)
            return kept / name.substr(0, name.find(end) + end.size());
    return {};
}

void former_logs::forget(const std::string& project) const {
    std::error_code failure;
    fs::remove_all(folder_ / project, failure);
    fs::remove(folder_, failure); // when it is empty
}

void former_logs::forget_all_but(const std::set<std::string>& projects) const {
    for (const fs::path& each : entries_of(folder_))
        if (!projects.contains(each.filename()))
            forget(each.filename());
}

void former_logs::expire() const {
    std::error_code failure;
    for (const fs::path& project : entries_of(folder_))
        for (const fs::path& kept : entries_of(project))
            if (is_old(kept))
                fs::remove_all(kept, failure);
}

} // namespace engine
