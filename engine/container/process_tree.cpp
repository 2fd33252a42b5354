#include "engine/container/process_tree.hpp"

#include "compose/model/error.hpp"
#include "engine/system/child_process.hpp"
#include "engine/system/file.hpp"

#include <fmt/format.h>

#include <csignal>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <vector>

namespace engine {

namespace {

struct member {
    unique_fd handle;
    int parent = 0;
    int session = 0;
};

/// Opened before it is looked at: the number may be another's by then, and so the look is at who will be
/// signalled.
std::optional<member> look_at(int pid) {
    member found;
    try {
        found.handle = open_process(pid);
    } catch (const compose::error&) {
        return std::nullopt; // it has ended
    }
    const std::string text = read_file_if_there(fmt::format("/proc/{}/stat", pid)).value_or("");
    const auto close = text.rfind(')'); // the name may have parentheses itself
    if (close == std::string::npos)
        return std::nullopt;
    char state = 0;
    int group = 0;
    std::istringstream(text.substr(close + 1)) >> state >> found.parent >> group >> found.session;
    return found;
}

} // namespace

void kill_tree(const container_cgroup& cgroup, pid_t root) {
    constexpr int rounds = 10; // what forks while it is looked at has the session of who did
    std::set<int> doomed{root};
    for (int round = 0; round < rounds; ++round) {
        std::map<int, member> all;
        for (const int pid : cgroup.processes())
            if (auto found = look_at(pid))
                all.emplace(pid, std::move(*found));
        for (bool grown = true; grown;) {
            grown = false;
            for (const auto& [pid, each] : all)
                if (pid != root && !doomed.contains(pid) &&
                    (doomed.contains(each.parent) || doomed.contains(each.session)))
                    grown = doomed.insert(pid).second;
        }
        bool any = false;
        for (const auto& [pid, each] : all)
            if (doomed.contains(pid)) {
                send_signal(each.handle, SIGKILL);
                any = true;
            }
        if (!any)
            return;
    }
}

} // namespace engine
