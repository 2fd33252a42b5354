#include "engine/project/container_manager_state.hpp"
#include "engine/project/plan_steps.hpp"
#include "engine/shim/acting_as.hpp"
#include "engine/system/file.hpp"
#include "engine/system/own_thread.hpp"

#include "compose/model/error.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <sstream>
#include <utility>

// The files of a container, for cp.
namespace engine {

using compose::error;
using compose::error_kind;

namespace {

/// The root as the container's own processes have it. A process of the container is known by its cgroup: its
/// number may have been given to another since it was looked up.
unique_fd root_of_process(pid_t process, const std::string& id) {
    unique_fd root = open_file(fmt::format("/proc/{}/root", process), O_RDONLY | O_DIRECTORY);
    const std::string cgroups = read_file_if_there(fmt::format("/proc/{}/cgroup", process)).value_or("");
    if (cgroups.find(id) == std::string::npos)
        throw error(error_kind::conflict, fmt::format("container \"{}\" has just ended", id.substr(0, 12)));
    return root;
}

/// The host's id that the process has as 0 (userns_remap).
uid_t first_id_of(pid_t process) {
    const std::string map = read_file_if_there(fmt::format("/proc/{}/uid_map", process), 4096).value_or("");
    std::istringstream words(map);
    uid_t inside = 0;
    uid_t first = 0;
    words >> inside >> first;
    return words && inside == 0 ? first : 0;
}

} // namespace

/// Binds and volumes as they are now; what is mounted for a run alone (tmpfs, images, what a volume's driver
/// options name) is not there between runs.
tree_parts container_manager::implementation::files_of(const container_record& record) const {
    tree_parts files;
    const auto picture = parts.images.find(record.image);
    if (!picture)
        throw error(error_kind::not_found,
            fmt::format("container \"{}\": its image \"{}\" is no longer here; pull or load it again",
                record.name, record.image_reference));
    files.layers = parts.images.layer_folders(*picture);
    files.upper = runtime.upper(record.id);
    files.work = files.upper.parent_path() / "work";
    for (const wanted_mount& each : mounts_wanted(record)) {
        const bool volume = each.how.type == compose::mount_type::volume;
        if ((!volume && each.how.type != compose::mount_type::bind) || !each.how.subpath.empty())
            continue;
        const std::string& name = each.volume.empty() ? each.anonymous.name : each.volume;
        files.mounts.push_back(
            {.source = volume ? parts.volumes.path(name) : std::filesystem::path(each.how.source),
                .target = each.how.target,
                .read_only = each.how.read_only});
    }
    return files;
}

task<> container_manager::with_files(std::string id, std::function<void(const container_tree&)> work) {
    implementation& self = *implementation_;
    managed_container& of = self.at(id);
    if (of.view.state == run_state::starting)
        throw error(error_kind::conflict,
            fmt::format("container \"{}\" is being started; try again when it runs", of.view.record.name));
    boost::asio::io_context& io = self.parts.on.io;
    if (of.view.run) {
        std::function<void()> inside = [process = of.view.run->pid, id, work = std::move(work)] {
            const unique_fd root = root_of_process(process, id);
            const uid_t first_id = first_id_of(process);
            const acting_as owner(first_id);
            work({.root = fmt::format("/proc/self/fd/{}", root.get()), .first_id = first_id});
        };
        co_await on_own_thread(io, std::move(inside));
        co_return;
    }
    if (of.view.state == run_state::restarting || of.copies > 0)
        throw error(error_kind::conflict,
            fmt::format("container \"{}\" {}; try again a little later", of.view.record.name,
                of.copies > 0 ? "is copied from or to already" : "is about to be restarted"));
    tree_parts files = self.files_of(of.view.record);
    ++of.copies;
    std::exception_ptr failure;
    try {
        std::function<void()> inside = [files = std::move(files), work = std::move(work)] {
            in_tree_view(files, [&](const std::filesystem::path& root) { work({.root = root}); });
        };
        co_await on_own_thread(io, std::move(inside));
    } catch (...) {
        failure = std::current_exception();
    }
    if (self.entries.contains(id))
        --self.at(id).copies;
    if (failure)
        std::rethrow_exception(failure);
}

} // namespace engine
