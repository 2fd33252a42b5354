#include "engine/container/oci_spec.hpp"

#include "compose/model/error.hpp"
#include "engine/container/capabilities.hpp"
#include "engine/container/seccomp.hpp"
#include "engine/system/file.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include <algorithm>

namespace engine {
namespace {

namespace json = boost::json;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

container_spec spec() {
    container_spec out;
    out.args = {"/bin/true"};
    out.hostname = "box";
    return out;
}

oci_host host() {
    oci_host out;
    out.cgroup = "/composed/abc";
    out.network_namespace = "/proc/7/ns/net";
    return out;
}

json::value render(
    const container_spec& wanted, const oci_host& on = host(), const resolved_user& user = {}) {
    return json::parse(render_oci_config(wanted, user, on));
}

std::vector<std::string> texts(const json::value& array) {
    std::vector<std::string> out;
    for (const json::value& each : array.as_array())
        out.emplace_back(each.as_string());
    return out;
}

std::vector<std::string> destinations(const json::value& config) {
    std::vector<std::string> out;
    for (const json::value& each : config.at("mounts").as_array())
        out.emplace_back(each.at("destination").as_string());
    return out;
}

TEST(capabilities, the_default_is_dockers_fourteen) {
    EXPECT_EQ(effective_capabilities({}, {}, false).size(), 14U);
}

TEST(capabilities, are_added_and_dropped) {
    EXPECT_THAT(effective_capabilities({"net_admin"}, {}, false), Contains("CAP_NET_ADMIN"));
    EXPECT_THAT(effective_capabilities({}, {"CAP_CHOWN"}, false), Not(Contains("CAP_CHOWN")));
    EXPECT_THAT(effective_capabilities({"NET_ADMIN"}, {"ALL"}, false), testing::ElementsAre("CAP_NET_ADMIN"));
    EXPECT_EQ(effective_capabilities({"ALL"}, {"SYS_ADMIN"}, false).size(), 40U);
    EXPECT_EQ(effective_capabilities({}, {"ALL"}, true).size(), 41U);
    EXPECT_THROW(effective_capabilities({"FLY"}, {}, false), compose::error);
}

TEST(oci_config, the_same_values_give_the_same_bytes) {
    EXPECT_EQ(render_oci_config(spec(), {}, host()), render_oci_config(spec(), {}, host()));
}

TEST(oci_config, the_environment_has_what_programs_count_on) {
    container_spec wanted = spec();
    wanted.env = {"A=1", "HOME=/mine"};
    wanted.tty = true;
    const auto env = texts(render(wanted).at("process").at("env"));
    EXPECT_THAT(env, Contains("HOSTNAME=box"));
    EXPECT_THAT(env, Contains("TERM=xterm"));
    EXPECT_THAT(env, Contains("HOME=/mine"));
    EXPECT_THAT(env, Contains(HasSubstr("PATH=/usr/local/sbin:")));
    EXPECT_EQ(
        std::count_if(env.begin(), env.end(), [](const auto& each) { return each.starts_with("HOME="); }), 1);
}

TEST(oci_config, a_user_namespace_is_joined_and_its_ids_are_said) {
    oci_host on = host();
    on.user_namespace = "/run/composed/container/abc/users";
    on.user_ids = {.first = 100'000, .count = 65'536};
    const json::value config = render(spec(), on);
    const json::object& wanted = config.at("linux").as_object();
    EXPECT_EQ(wanted.at("namespaces").as_array().front(),
        (json::value{{"type", "user"}, {"path", "/run/composed/container/abc/users"}}));
    const json::value ids = {{"containerID", 0}, {"hostID", 100'000}, {"size", 65'536}};
    EXPECT_EQ(wanted.at("uidMappings"), json::value(json::array{ids}));
    EXPECT_EQ(wanted.at("gidMappings"), json::value(json::array{ids}));
    EXPECT_EQ(wanted.at("sysctl").at("net.ipv4.ping_group_range").as_string(), "0 65535");
    EXPECT_EQ(render(spec()).at("linux").as_object().if_contains("uidMappings"), nullptr);
}

TEST(oci_config, oom_score_is_always_said) {
    EXPECT_EQ(render(spec()).at("process").at("oomScoreAdj").as_int64(), 0);
}

TEST(oci_config, capabilities_of_other_users_are_bounding_only) {
    const json::value config = render(spec(), host(), {.uid = 33, .gid = 33, .groups = {33}, .home = "/"});
    const json::object& capabilities = config.at("process").at("capabilities").as_object();
    EXPECT_TRUE(capabilities.contains("bounding"));
    EXPECT_FALSE(capabilities.contains("effective"));
}

TEST(oci_config, mounts_come_after_what_they_lie_below) {
    container_spec wanted = spec();
    wanted.mounts = {{.source = "/h/deep", .destination = "/a/b/c"}, {.source = "/h/a", .destination = "/a"}};
    oci_host with_files = host();
    with_files.hosts = "/h/hosts";
    const auto order = destinations(render(wanted, with_files));
    const auto place = [&](const char* name) { return std::find(order.begin(), order.end(), name); };
    EXPECT_LT(place("/proc"), place("/a"));
    EXPECT_LT(place("/a"), place("/a/b/c"));
    EXPECT_NE(place("/etc/hosts"), order.end());
}

TEST(oci_config, a_mount_replaces_what_every_container_has_there) {
    container_spec wanted = spec();
    wanted.mounts = {{.source = "/h/hosts", .destination = "/etc/hosts"},
        {.type = container_mount::kind::tmpfs, .destination = "/dev/shm", .options = {"size=1m"}}};
    oci_host with_files = host();
    with_files.hosts = "/generated";
    const json::value config = render(wanted, with_files);
    const auto order = destinations(config);
    EXPECT_EQ(std::count(order.begin(), order.end(), "/etc/hosts"), 1);
    EXPECT_EQ(std::count(order.begin(), order.end(), "/dev/shm"), 1);
    EXPECT_THAT(json::serialize(config), Not(HasSubstr("/generated")));
}

TEST(oci_config, a_working_directory_below_proc_is_refused) {
    for (const char* cwd : {"/proc/self/fd/7", "/proc", "relative", ""}) {
        container_spec wanted = spec();
        wanted.cwd = cwd;
        EXPECT_THROW(render(wanted), compose::error) << cwd;
    }
}

TEST(oci_config, no_command_is_refused) {
    container_spec wanted = spec();
    wanted.args.clear();
    EXPECT_THROW(render(wanted), compose::error);
}

TEST(oci_config, privileged_has_no_masks_and_all_devices) {
    container_spec wanted = spec();
    wanted.privileged = true;
    const json::value config = render(wanted);
    EXPECT_FALSE(config.at("linux").as_object().contains("maskedPaths"));
    EXPECT_EQ(config.at("linux").at("resources").at("devices").as_array().size(), 1U);
    EXPECT_TRUE(render(spec()).at("linux").as_object().contains("maskedPaths"));
}

TEST(oci_config, the_network_namespace_is_named_and_sysctls_are_its_own) {
    const std::string own = json::serialize(render(spec()));
    EXPECT_THAT(own, HasSubstr(R"({"type":"network","path":"/proc/7/ns/net"})"));
    EXPECT_THAT(own, HasSubstr("ip_unprivileged_port_start"));
    oci_host on_host = host();
    on_host.network_namespace.clear();
    const std::string shared = json::serialize(render(spec(), on_host));
    EXPECT_THAT(shared, Not(HasSubstr("\"network\"")));
    EXPECT_THAT(shared, Not(HasSubstr("ip_unprivileged_port_start")));
}

TEST(oci_config, a_cgroup_namespace_is_for_v2_only) {
    oci_host old = host();
    old.cgroups = cgroup_mode::hybrid;
    EXPECT_THAT(json::serialize(render(spec())), HasSubstr(R"({"type":"cgroup"})"));
    EXPECT_THAT(json::serialize(render(spec(), old)), Not(HasSubstr(R"({"type":"cgroup"})")));
}

TEST(oci_config, a_compiled_filter_goes_only_where_a_filter_goes) {
    const json::value filter = json::object{{"defaultAction", "SCMP_ACT_ERRNO"}};
    oci_host compiled = host();
    compiled.seccomp = &filter;
    compiled.compiled_seccomp = "AAAA";
    EXPECT_THAT(render_oci_config(spec(), {}, compiled), HasSubstr(R"("run.oci.seccomp_bpf_data":"AAAA")"));
    container_spec open = spec();
    open.seccomp_unconfined = true;
    EXPECT_THAT(render_oci_config(open, {}, compiled), Not(HasSubstr("seccomp")));
}

TEST(exec_process, takes_over_what_is_not_said) {
    container_spec wanted = spec();
    wanted.env = {"A=1", "B=2"};
    wanted.cwd = "/work";
    const json::value config = render(wanted);
    exec_process process;
    process.args = {"ls"};
    process.env = {"B=3"};
    const json::value out = json::parse(render_exec_process(config, process));
    EXPECT_EQ(out.at("cwd").as_string(), "/work");
    EXPECT_THAT(texts(out.at("env")), Contains("A=1"));
    EXPECT_THAT(texts(out.at("env")), Contains("B=3"));
    EXPECT_THAT(texts(out.at("env")), Not(Contains("B=2")));
}

TEST(seccomp, rules_follow_capabilities) {
    const std::string profile = R"({"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"archMap":[
        {"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]},
        {"architecture":"SCMP_ARCH_AARCH64","subArchitectures":["SCMP_ARCH_ARM"]}],
        "syscalls":[
        {"names":["read"],"action":"SCMP_ACT_ALLOW","args":[],"includes":{},"excludes":{}},
        {"names":["bpf"],"action":"SCMP_ACT_ALLOW","args":[],"includes":{"caps":["CAP_SYS_ADMIN"]},"excludes":{}},
        {"names":["bpf"],"action":"SCMP_ACT_ERRNO","args":[],"includes":{},"excludes":{"caps":["CAP_SYS_ADMIN"]},"errnoRet":1},
        {"names":["s390"],"action":"SCMP_ACT_ALLOW","args":[],"includes":{"arches":["s390x"]},"excludes":{}}]})";
    const std::string plain = convert_seccomp_profile(profile, {"CAP_CHOWN"});
    EXPECT_THAT(plain, HasSubstr(R"({"names":["bpf"],"action":"SCMP_ACT_ERRNO","errnoRet":1})"));
    EXPECT_THAT(plain, Not(HasSubstr(R"({"names":["bpf"],"action":"SCMP_ACT_ALLOW")")));
    EXPECT_THAT(plain, Not(HasSubstr("s390")));
    EXPECT_THAT(plain, HasSubstr("\"names\":[\"read\"]"));
    const std::string powerful = convert_seccomp_profile(profile, {"CAP_SYS_ADMIN"});
    EXPECT_THAT(powerful, HasSubstr(R"({"names":["bpf"],"action":"SCMP_ACT_ALLOW"})"));
    EXPECT_THROW(convert_seccomp_profile("{}", {}), compose::error);
    EXPECT_THROW(convert_seccomp_profile("nonsense", {}), compose::error);
}

} // namespace
} // namespace engine
