#include "engine/container/runtime_host.hpp"

#include "compose/model/error.hpp"
#include "engine/shim/state_files.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace engine {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view search_path[] = {
    "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};

} // namespace

fs::path find_runtime(const fs::path& wanted) {
    if (!wanted.empty() && !wanted.has_parent_path())
        for (const std::string_view folder : search_path)
            if (fs::path candidate = fs::path(folder) / wanted; ::access(candidate.c_str(), X_OK) == 0)
                return candidate;
    if (!wanted.empty()) {
        if (!wanted.has_parent_path() || ::access(wanted.c_str(), X_OK) != 0)
            throw compose::error(compose::error_kind::unavailable,
                fmt::format("OCI runtime \"{}\" is not there or not executable", wanted.native()));
        return wanted;
    }
    for (const char* name : {"crun", "runc"})
        for (const std::string_view folder : search_path)
            if (fs::path candidate = fs::path(folder) / name; ::access(candidate.c_str(), X_OK) == 0)
                return candidate;
    throw compose::error(compose::error_kind::unavailable,
        "neither \"crun\" nor \"runc\" is installed: install crun, it is the faster one");
}

void let_pass(const fs::path& folder, const std::optional<user_id_range>& ids) {
    if (!ids)
        return;
    if (::chown(folder.c_str(), static_cast<uid_t>(-1), ids->first) != 0 ||
        ::chmod(folder.c_str(), 0710) != 0)
        throw_errno("give the containers' root a way through", folder.native());
}

bool is_crun(const fs::path& runtime) {
    return runtime.filename() == "crun";
}

runtime_host::runtime_host(runtime_options given)
    : options(std::move(given)), oci_runtime(find_runtime(options.oci_runtime)),
      abilities(look_at_host(detect_cgroup_mode())), seccomp(options.seccomp_profile) {
    abilities.own_users = options.user_ids.has_value();
    abilities.domain_of_own_users = is_crun(oci_runtime);
    // What a cgroup has its parent must have to give (sched-rt-group.rst), and a new one has nothing.
    const fs::path own = fs::path("/sys/fs/cgroup/cpu") / fs::path(cgroup_path("x")).parent_path();
    const std::string budget = read_file_if_there(own / "cpu.rt_runtime_us", 64).value_or("0");
    abilities.realtime = abilities.realtime && std::atoll(budget.c_str()) != 0;
    if (::access(options.shim_program.c_str(), X_OK) != 0)
        throw compose::error(compose::error_kind::unavailable,
            fmt::format("\"{}\" is not there or not executable: it belongs beside composed",
                options.shim_program.native()));
    fs::create_directories(options.state / "container");
    fs::create_directories(options.state / "trash");
    fs::create_directories(options.run / "container");
    fs::create_directories(oci_root());
    for (const fs::path& secret : {options.run / "container", oci_root(), options.state / "trash"})
        fs::permissions(secret, fs::perms::owner_all);
    let_pass(options.run / "container", options.user_ids);
    spdlog::debug("OCI runtime {}, cgroups {}, limits {}", oci_runtime.native(),
        abilities.cgroups == cgroup_mode::unified  ? "v2"
        : abilities.cgroups == cgroup_mode::hybrid ? "v1, hybrid"
                                                   : "v1",
        abilities.can_raise_limits ? "free" : "up to our own");
}

std::string runtime_host::cgroup_path(const std::string& id) const {
    return read_file_if_there(run_folder(id) / run_file::cgroup).value_or(options.instance + "/" + id);
}

container_cgroup runtime_host::cgroup(const std::string& id) const {
    return {abilities.cgroups, cgroup_path(id)};
}

container_cgroup runtime_host::instance_cgroup() const {
    return {abilities.cgroups, options.instance};
}

fs::path runtime_host::runtime_of(const std::string& id) const {
    const auto own = read_file_if_there(run_folder(id) / run_file::runtime);
    return own ? fs::path(*own) : oci_runtime;
}

} // namespace engine
