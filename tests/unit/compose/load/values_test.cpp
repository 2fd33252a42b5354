#include "compose/load/loader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace compose {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Values that `config` prints as Docker Compose does, and that `up` refuses or warns of, by their keys.
struct values_test : ::testing::Test {
    values_test() {
        std::string pattern = "/tmp/composed-values-test-XXXXXX";
        options.working_directory = ::mkdtemp(pattern.data());
        options.project_name = "shop";
    }
    ~values_test() override { std::filesystem::remove_all(options.working_directory); }

    loaded read(const std::string& text) const {
        std::ofstream(options.working_directory / "compose.yaml") << text;
        loaded all = load(options);
        return all;
    }

    std::string without_file(std::string text) const {
        const std::string file = (options.working_directory / "compose.yaml").native() + ":";
        for (auto at = text.find(file); at != std::string::npos; at = text.find(file))
            text.erase(at, file.size());
        return text;
    }

    /// What load() warns of, and what check_supported() does.
    std::vector<std::string> warnings(const std::string& text) const {
        const loaded all = read(text);
        std::vector<std::string> told = all.warnings;
        for (const std::string& each : check_supported(all))
            told.push_back(each);
        for (std::string& each : told)
            each = without_file(each);
        return told;
    }

    /// LINE:COLUMN: path: message, of what `config` takes.
    std::string refused(const std::string& text) const {
        const loaded all = read(text);
        try {
            check_supported(all);
        } catch (const load_error& failure) {
            return without_file(failure.what());
        }
        return {};
    }

    /// Of a service with these lines.
    static std::string with(const std::string& lines, const std::string& rest = {}) {
        return "services:\n  a:\n    image: x\n    " + lines + "\n" + rest;
    }
    static std::string lan(const std::string& lines) {
        return with("networks: [lan]", "networks:\n  lan: {" + lines + "}\n");
    }

    load_options options;
};

TEST_F(values_test, modes_of_a_volume_that_nobody_knows) {
    EXPECT_THAT(
        warnings(with("volumes: ['./a:/b:readonly', './a:/c:RO', './a:/d:rw,banana', './a:/e:ro,z,cached']")),
        ElementsAre(
            "4:15: services.a.volumes[0]: \"./a:/b:readonly\": there is no mode \"readonly\", it has no "
            "effect; did you mean \"ro\"?",
            HasSubstr(
                "volumes[1]: \"./a:/c:RO\": there is no mode \"RO\", it has no effect; did you mean \"ro\"?"),
            HasSubstr("volumes[2]: \"./a:/d:rw,banana\": there is no mode \"banana\"")));
    EXPECT_THAT(warnings(with("volumes: ['v:/b:rslave', 'v:/c:nocopy']", "volumes: {v: }\n")), IsEmpty());
    EXPECT_THAT(warnings(with("volumes: ['./a:/b:banana-shared']")), ElementsAre(HasSubstr("banana-shared")));
}

TEST_F(values_test, addresses_of_a_network) {
    const auto pool = [&](const std::string& members) { return lan("ipam: {config: [{" + members + "}]}"); };
    EXPECT_EQ(refused(pool("subnet: 10.1.0.0/24, gateway: 10.1.0.0")),
        "6:56: networks.lan.ipam.config[0].gateway: 10.1.0.0 is the address of the network 10.1.0.0/24 "
        "itself; give "
        "another of it");
    EXPECT_THAT(
        refused(pool("subnet: 10.1.0.0/24, gateway: 10.1.0.255")), HasSubstr("the broadcast address"));
    EXPECT_THAT(refused(pool("subnet: 10.1.0.0/24, gateway: 10.2.0.1")), HasSubstr("is not in its subnet"));
    EXPECT_THAT(
        refused(pool("subnet: 10.1.0.0/24, ip_range: 10.1.0.0/23")), HasSubstr("is not in its subnet"));
    EXPECT_THAT(refused(pool("subnet: 10.1.0.7/24")), HasSubstr("in a subnet: write 10.1.0.0/24"));
    EXPECT_THAT(refused(pool("subnet: 'fd00:1::7/64'")), HasSubstr("in a subnet: write fd00:1::/64"));
    EXPECT_THAT(refused(pool("subnet: 10.1.0.0/24, ip_range: 10.1.0.7/28")),
        HasSubstr("10.1.0.7/28 is an address in a range: write 10.1.0.0/28"));
    EXPECT_THAT(refused(pool("subnet: 10.1.0.0/31")), HasSubstr("has no room for a gateway and a container"));
    EXPECT_THAT(refused(pool("subnet: 10.1.0.0/")), HasSubstr("is no subnet"));
    EXPECT_THAT(refused(pool("subnet: banana")), HasSubstr("config[0].subnet: \"banana\" is no subnet"));
    EXPECT_THAT(refused(pool("subnet: 10.1.0.0/24, aux_addresses: {h: 10.2.0.5}")),
        HasSubstr("networks.lan.ipam.config[0].aux_addresses.h: 10.2.0.5 is not in its subnet 10.1.0.0/24"));
    EXPECT_THAT(refused(pool("subnet: 10.1.0.0/24, gateway: 10.1.0.9, aux_addresses: {h: 10.1.0.9}")),
        HasSubstr("10.1.0.9 is the gateway's;"));
    EXPECT_THAT(refused(pool("subnet: 10.1.0.0/24, aux_addresses: {h: 10.1.0.1}")),
        HasSubstr("10.1.0.1 is the gateway's where none is given"));
    for (const char* alone : {"gateway: 10.1.0.1", "ip_range: 10.1.0.0/24"})
        EXPECT_THAT(refused(pool(alone)), HasSubstr("needs the subnet that it is in"));
    for (const char* good : {"subnet: 10.1.0.0/24, gateway: 10.1.0.254, ip_range: 10.1.0.128/25",
             "subnet: 10.1.0.0/30", "subnet: 10.1.0.0/24, gateway: 10.1.0.2, aux_addresses: {h: 10.1.0.1}"})
        EXPECT_EQ(refused(pool(good)), "") << good;
    EXPECT_EQ(
        refused(lan("enable_ipv6: true, ipam: {config: [{subnet: 'fd00:7::/64', gateway: 'fd00:7::9'}]}")),
        "");
    EXPECT_THAT(read(lan("ipam: {options: {a: b}}")).ignored, ElementsAre("networks.lan.ipam.options"));
}

TEST_F(values_test, how_a_service_is_on_its_networks) {
    const auto on = [&](const std::string& members, const std::string& more = "image: x") {
        return "services:\n  a:\n    " + more + (more == "image: x" ? "" : "\n    image: x") +
               "\n    networks: {lan: {" + members +
               "}, other: {interface_name: one}}\nnetworks: {lan: , other: }\n";
    };
    EXPECT_THAT(
        refused(on("interface_name: lo")), HasSubstr("networks.lan.interface_name: \"lo\" is the loopback"));
    EXPECT_THAT(refused(on("interface_name: one")), HasSubstr("is the interface of networks.lan already"));
    EXPECT_THAT(refused(on("interface_name: two, driver_opts: {com.docker.network.endpoint.ifname: three}")),
        HasSubstr(
            "driver_opts.com.docker.network.endpoint.ifname: is \"three\", and interface_name is \"two\""));
    EXPECT_THAT(refused(on("driver_opts: {com.docker.network.endpoint.ifname: one}")), HasSubstr("already"));
    EXPECT_THAT(refused(on("driver_opts: {com.docker.network.endpoint.sysctls: nope}")),
        HasSubstr("\"nope\" is no sysctl of an interface; write net.ipv4.conf.IFNAME.NAME=VALUE"));
    EXPECT_EQ(refused(on(
                  "driver_opts: {com.docker.network.endpoint.sysctls: 'net.ipv4.conf.IFNAME.forwarding=1'}")),
        "");
    EXPECT_THAT(refused(on("link_local_ips: ['fe80::9']")),
        HasSubstr(
            "networks.lan.link_local_ips[0]: the network has no IPv6; set networks.lan.enable_ipv6: true"));
    EXPECT_EQ(refused(on("link_local_ips: [169.254.8.8]")), "");
    for (const char* fixed : {"mac_address: '02:42:ac:11:00:02'", "ipv4_address: 10.1.0.4"})
        EXPECT_THAT(refused(on(fixed, "scale: 2")), HasSubstr("is for one container, but there are 2"));
    EXPECT_THAT(refused(with("mac_address: '02:42:ac:11:00:02'\n    deploy: {replicas: 2}")),
        HasSubstr("4:18: services.a.mac_address: is for one container"));
    EXPECT_THAT(warnings(on("aliases: ['a b']")),
        ElementsAre(
            HasSubstr("services.a.networks.lan.aliases[0]: \"a b\" has a blank, so nobody can ask for it")));
    EXPECT_THAT(refused(on("aliases: [\"a\\nb\"]")), HasSubstr("aliases[0]"));
}

TEST_F(values_test, names_and_ports) {
    EXPECT_THAT(warnings(with("dns_search: ['a b', c.d]")),
        ElementsAre(HasSubstr("4:18: services.a.dns_search[0]: \"a b\" has a blank")));
    EXPECT_THAT(refused(with("dns_search: [\"a\\nnameserver 1.1.1.1\"]")), HasSubstr("dns_search[0]"));
    EXPECT_THAT(warnings(with("dns_opt: ['ndots:2', rotat, 'timeout:x', 'use-vc:1', trust-ad]")),
        ElementsAre(
            HasSubstr(
                "dns_opt[1]: resolvers do not know \"rotat\" and pass over it, did you mean \"rotate\"?"),
            HasSubstr("dns_opt[2]: resolvers pass over \"timeout:x\"; write a number"),
            HasSubstr("dns_opt[3]: resolvers pass over \"use-vc:1\"; use-vc takes no value")));
    EXPECT_THAT(refused(with("expose: ['80', foo, 90-80, '80/tcp']")),
        ::testing::AllOf(HasSubstr("expose[1]: \"foo\" is no port"), HasSubstr("expose[2]"),
            ::testing::Not(HasSubstr("expose[3]"))));
    EXPECT_EQ(refused(with("expose: [3000-3010, 53/udp, 8080]")), "");
    EXPECT_THAT(refused(with("ports: ['[::ffff:127.0.0.1]:80:80']")),
        HasSubstr("4:13: services.a.ports[0].host_ip: \"::ffff:127.0.0.1\" is an IPv4 address written as one "
                  "of IPv6; write "
                  "127.0.0.1"));
    EXPECT_THAT(warnings(with("ports: [{target: 80, mode: banana}, {target: 81, mode: host}]")),
        ElementsAre("4:32: services.a.ports[0].mode: \"banana\" has no effect; there are ingress and host"));
}

TEST_F(values_test, a_limit_that_there_is_none_of_says_which_is_meant) {
    EXPECT_THAT(refused(with("ulimits: {nofil: 3}")),
        HasSubstr("services.a.ulimits.nofil: there is no such limit, did you mean \"nofile\"?"));
}

TEST_F(values_test, a_host_is_told_of_at_its_own_place) {
    EXPECT_THAT(refused(with("extra_hosts: ['b=1.1.1.1', 'a=x', 'b=y']")),
        ::testing::AllOf(HasSubstr("4:32: services.a.extra_hosts[1]: \"x\" is neither"),
            HasSubstr("4:39: services.a.extra_hosts[2]: \"y\" is neither")));
    EXPECT_THAT(
        refused(
            with("volumes: [{type: npipe, source: x, target: /x}, {type: cluster, source: x, target: /y}]")),
        ::testing::AllOf(HasSubstr("services.a.volumes[0]: "), HasSubstr("services.a.volumes[1]: ")));
}

TEST_F(values_test, what_a_mount_says) {
    const auto mount = [&](const std::string& members) {
        return with("volumes: [{target: /m, " + members + "}]", "volumes: {v: }\n");
    };
    EXPECT_THAT(warnings(mount("type: volume, source: v, consistency: cachd")),
        ElementsAre(HasSubstr("volumes[0].consistency: \"cachd\" has no effect, did you mean \"cached\"?")));
    EXPECT_THAT(warnings(mount("type: volume, source: v, bind: {create_host_path: false}")),
        ElementsAre(HasSubstr("services.a.volumes[0].bind: has no effect on a mount of type volume")));
    EXPECT_THAT(warnings(mount("type: volume, source: v, tmpfs: {size: 1m}, image: {subpath: x}")),
        ElementsAre(HasSubstr("volumes[0].tmpfs"), HasSubstr("volumes[0].image")));
    EXPECT_EQ(read(mount("type: volume, source: v, image: {subpath: x}"))
                  .project.services.at("a")
                  .mounts[0]
                  .subpath,
        "");
    EXPECT_THAT(warnings(with("volumes: ['v:/m:z,rslave']", "volumes: {v: }\n")), IsEmpty());
    EXPECT_THAT(
        refused(mount("type: tmpfs, source: v")), HasSubstr("volumes[0].source: a tmpfs has no source"));
    EXPECT_THAT(refused(mount("type: tmpfs, tmpfs: {mode: 9999}")), HasSubstr("volumes[0].tmpfs.mode: "));
    for (const char* mode : {"-1", "4294967296"})
        EXPECT_THROW(read(mount(std::string("type: tmpfs, tmpfs: {mode: ") + mode + "}")), load_error)
            << mode;
    EXPECT_EQ(refused(mount("type: tmpfs, tmpfs: {mode: 01777}")), "");
    EXPECT_THAT(refused(with("volumes: [./a:/]")),
        HasSubstr("volumes[0]: the target \"/\" is the container's own root"));
    for (const char* bad : {"/x:banana", "/x:size=big", "/x:mode=9", "/x:ro=1", "/x:uid=me", "/"})
        EXPECT_THAT(
            refused(with(std::string("tmpfs: ['") + bad + "']")), HasSubstr("4:13: services.a.tmpfs[0]: "))
            << bad;
    EXPECT_THAT(refused(with("tmpfs: ['/x:siz=1m']")), HasSubstr("did you mean \"size\"?"));
    EXPECT_EQ(refused(with("tmpfs: ['/x:size=10%,mode=1777,uid=1,gid=2,exec,rw,nr_inodes=1k', '/y']")), "");
}

TEST_F(values_test, where_secrets_and_configs_go) {
    const std::string all = "secrets: {s: {file: ./s}, t: {file: ./t}}\nconfigs: {c: {file: ./c}}\n";
    const auto used = [&](const std::string& lines) { return with(lines, all); };
    EXPECT_THAT(refused(used("secrets: [{source: s, target: x}, {source: t, target: /run/secrets/x}]")),
        HasSubstr("services.a.secrets[1]: \"/run/secrets/x\" is the target of secrets[0] already"));
    EXPECT_THAT(refused(used("secrets: [s]\n    configs: [{source: c, target: /run/secrets/s}]")),
        HasSubstr("services.a.configs[0]: \"/run/secrets/s\" is the target of secrets[0] already"));
    EXPECT_THAT(refused(used("secrets: [{source: s, target: /d}]\n    volumes: [./a:/d]")),
        HasSubstr("is the target of volumes[0]"));
    EXPECT_THAT(warnings(used("secrets: [{source: s, target: x}, {source: t, target: x}]")),
        ElementsAre(HasSubstr(
            "services.a.secrets[1]: takes the place of services.a.secrets[0], for both have the target x")));
    for (const char* folder : {"/etc", "/", "/run/secrets/", "/x/"})
        EXPECT_THAT(refused(used(std::string("secrets: [{source: s, target: ") + folder + "}]")),
            HasSubstr("secrets[0].target: \"" + std::string(folder) + "\" is a folder; say which file in it"))
            << folder;
    EXPECT_THAT(refused(used("secrets: [{source: s, target: /proc/zz}]")),
        HasSubstr("is in a file system of the kernel"));
    EXPECT_EQ(refused(used("secrets: [s, {source: t, target: /etc/t}]\n    configs: [c]")), "");
    EXPECT_THAT(refused(with("secrets: [s]", "secrets: {s: {external: true, file: ./s}}\n")),
        HasSubstr("secrets.s.file: cannot be beside external: true"));
    EXPECT_THAT(refused(with("configs: [s]", "configs: {s: {external: true, content: a}}\n")),
        HasSubstr("configs.s.content"));
}

TEST_F(values_test, the_key_that_names_a_service_that_is_not_there_is_blamed) {
    for (const auto& [line, told] :
        {std::pair("links: [nope]", "4:13: services.a.links[0]: refers to undefined service \"nope\""),
            {"network_mode: service:nope",
                "4:19: services.a.network_mode: refers to undefined service \"nope\""},
            {"pid: service:nope", "services.a.pid: refers to"},
            {"volumes_from: ['nope:ro']", "services.a.volumes_from[0]: refers to"},
            {"depends_on: [nope]", "services.a.depends_on[0]: depends on undefined service"}})
        try {
            read(with(line));
            ADD_FAILURE() << line;
        } catch (const load_error& failure) {
            EXPECT_THAT(without_file(failure.what()), HasSubstr(told));
        }
}

} // namespace
} // namespace compose
