#include "engine/host_check.hpp"

#include "engine/options.hpp"
#include "engine/system/file.hpp"
#include "engine/system/mount.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace engine {

namespace fs = std::filesystem;

namespace {

enum class need { must, should };

class report {
  public:
    void line(need how, bool there, const std::string& what, const std::string& otherwise) {
        fmt::print("{:<8} {}{}\n",
            there               ? "ok"
            : how == need::must ? "MISSING"
                                : "lacking",
            what, there ? "" : ": " + otherwise);
        complete_ = complete_ && (there || how == need::should);
    }
    bool complete() const noexcept { return complete_; }

  private:
    bool complete_ = true;
};

bool in_path(const std::string& program) {
    std::string path = std::getenv("PATH") == nullptr ? "" : std::getenv("PATH");
    for (std::size_t begin = 0; begin <= path.size();) {
        const auto end = std::min(path.find(':', begin), path.size());
        if (::access((path.substr(begin, end - begin) + "/" + program).c_str(), X_OK) == 0)
            return true;
        begin = end + 1;
    }
    return false;
}

std::string cgroup_mode() {
    if (fs::exists("/sys/fs/cgroup/cgroup.controllers"))
        return "v2";
    return fs::exists("/sys/fs/cgroup/unified")  ? "v1 hybrid"
           : fs::exists("/sys/fs/cgroup/memory") ? "v1"
                                                 : "";
}

} // namespace

bool check_host(const daemon_options& options) {
    report result;
    result.line(need::must, ::geteuid() == 0, "root", "run composed as root");
    const bool runtime =
        options.runtime.empty() ? in_path("crun") || in_path("runc") : fs::exists(options.runtime);
    result.line(need::must, runtime, "OCI runtime (crun or runc)", "apt-get install crun");
    result.line(need::must, fs::exists(options.shim), "composed-shim at " + options.shim.native(),
        "install it beside composed");
    result.line(
        need::must, knows_file_system("overlay"), "overlay file system", "a kernel with CONFIG_OVERLAY_FS");
    result.line(need::must, !cgroup_mode().empty(), fmt::format("cgroups ({})", cgroup_mode()),
        "mount /sys/fs/cgroup");
    result.line(
        need::must, fs::exists("/proc/self/ns/net"), "network namespaces", "a kernel with CONFIG_NET_NS");
    result.line(need::should, fs::exists("/usr/share/containers/seccomp.json"), "seccomp profile",
        "containers run without system call filter; apt-get install golang-github-containers-common");
    result.line(need::should, fs::exists("/proc/sys/net/ipv4/ip_forward"), "IPv4 forwarding switch",
        "no way out for containers");
    result.line(
        need::should, in_path("nft"), "nft (to look at the firewall by hand)", "apt-get install nftables");
    return result.complete();
}

} // namespace engine
