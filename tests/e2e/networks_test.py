"""What the keys of networks do, as seen from inside the containers and in the kernel. All of it happens in a network namespace of the test's own."""
import json
import pathlib
import re
import subprocess
import time
import unittest

from harness import StackTest, enter_own_network, wait_until


def run(*command):
    return subprocess.run(command, text=True, capture_output=True)


class NetworksTest(StackTest):
    head = "name: net\n"

    def inside(self, service, *command, project="net"):
        return self.compose("-p", project, "exec", "-T", service, *command).stdout

    def fails_inside(self, service, *command):
        return self.compose("exec", "-T", service, *command, check=False).returncode != 0

    def test_addresses_are_those_of_the_file(self):
        self.up("""
services:
  fixed:
    image: busybox
    init: true
    command: sleep 1000
    networks: {lan: {ipv4_address: 10.77.0.200}}
  free: {image: busybox, init: true, command: sleep 1000, networks: [lan]}
networks:
  lan:
    ipam:
      config:
        - {subnet: 10.77.0.0/24, ip_range: 10.77.0.16/28, gateway: 10.77.0.254, aux_addresses: {router: 10.77.0.16, printer: 10.77.0.17}}
""")
        self.assertIn("inet 10.77.0.200/24 ", self.inside("fixed", "ip", "-4", "addr", "show", "eth0"))
        self.assertIn("inet 10.77.0.18/24 ", self.inside("free", "ip", "-4", "addr", "show", "eth0"), "aux_addresses are not given out")
        self.assertIn("default via 10.77.0.254 ", self.inside("free", "ip", "route"))
        self.assertIn("taken by another container", self.refused("""
services:
  fixed: {image: busybox, init: true, command: sleep 1000, networks: {lan: {ipv4_address: 10.77.0.200}}}
  free: {image: busybox, init: true, command: sleep 1000, networks: [lan]}
  thief: {image: busybox, init: true, command: sleep 1000, networks: {lan: {ipv4_address: 10.77.0.200}}}
networks:
  lan:
    ipam:
      config:
        - {subnet: 10.77.0.0/24, ip_range: 10.77.0.16/28, gateway: 10.77.0.254, aux_addresses: {router: 10.77.0.16, printer: 10.77.0.17}}
"""))

    def test_addresses_of_the_file_are_not_given_to_others_before(self):
        self.up("""
services:
  a: {image: busybox, init: true, command: sleep 1000, scale: 3, networks: [lan]}
  b: {image: busybox, init: true, command: sleep 1000, depends_on: [a], networks: {lan: {ipv4_address: 10.77.0.3}}}
  c: {image: busybox, init: true, command: sleep 1000, profiles: [later], networks: {lan: {ipv4_address: 10.77.0.4}}}
networks: {lan: {ipam: {config: [{subnet: 10.77.0.0/24}]}}}
""")
        self.assertIn("inet 10.77.0.3/24 ", self.inside("b", "ip", "-4", "addr", "show", "eth0"))
        self.compose("--profile", "later", "up", "-d", "c")
        self.assertIn("inet 10.77.0.4/24 ", self.inside("c", "ip", "-4", "addr", "show", "eth0"))

    def test_interfaces_are_those_of_the_file(self):
        self.up("""
services:
  a:
    image: busybox
    init: true
    command: sleep 1000
    networks:
      one: {priority: 10, gw_priority: 0, mac_address: "02:42:00:00:00:07", link_local_ips: [169.254.9.9]}
      two: {interface_name: lan0, gw_priority: 5, driver_opts: {com.docker.network.endpoint.sysctls: net.ipv4.conf.IFNAME.log_martians=1}}
      three: {}
  b: {image: busybox, init: true, command: sleep 1000, mac_address: "02:42:00:00:00:08", networks: [one]}
networks:
  one: {driver_opts: {com.docker.network.driver.mtu: "1380"}}
  two: {driver_opts: {com.docker.network.bridge.name: net-two-br}}
  three: {driver_opts: {com.docker.network.container_iface_prefix: wire}}
""")
        eth0 = self.inside("a", "ip", "addr", "show", "eth0")
        self.assertIn("mtu 1380 ", eth0)
        self.assertIn("link/ether 02:42:00:00:00:07 ", eth0)
        self.assertIn("inet 169.254.9.9/16 ", eth0)
        one = json.loads(run("ip", "-j", "-d", "addr").stdout)
        bridge = next(each for each in one if each["ifname"] == "net-two-br")
        self.assertEqual(bridge["ifalias"], f"composed:{self.instance}")
        self.assertIn("default via " + bridge["addr_info"][0]["local"] + " dev lan0", self.inside("a", "ip", "route"))
        self.assertEqual(self.inside("a", "cat", "/proc/sys/net/ipv4/conf/lan0/log_martians"), "1\n")
        self.assertEqual(self.inside("a", "cat", "/proc/sys/net/ipv4/conf/eth0/log_martians"), "0\n")
        self.assertIn(" wire", self.inside("a", "ip", "-o", "link"))
        self.assertIn("link/ether 02:42:00:00:00:08 ", self.inside("b", "ip", "link", "show", "eth0"))
        self.assertNotIn("inet6", self.inside("b", "ip", "addr", "show", "eth0"), "without enable_ipv6 there is none")
        # One that was there before is used, and stays.
        run("ip", "link", "add", "theirs0", "type", "bridge")
        (self.project / "other.yaml").write_text("""
name: other
services: {a: {image: busybox, init: true, command: sleep 1000}}
networks: {default: {driver_opts: {com.docker.network.bridge.name: theirs0}}}
""")
        self.compose("-f", "other.yaml", "up", "-d")
        self.assertIn("master theirs0", run("ip", "link").stdout)
        self.compose("-p", "other", "down", "-t", "0")
        self.wait_for_link("theirs0", True)
        # Ours by its alias: what somebody deletes is made again, and down takes it away.
        run("ip", "link", "del", "net-two-br")
        self.wait_for_link("net-two-br", True)
        self.compose("down")
        self.wait_for_link("net-two-br", False)

    def test_a_name_of_the_file_may_be_one_that_another_interface_would_have(self):
        self.up("""
services:
  a:
    image: busybox
    init: true
    command: sleep 1000
    networks: {one: {interface_name: eth1}, three: {}, two: {}}
networks: {one: {}, two: {}, three: {}}
""")
        networks = self.container("a")["networks"]
        has = self.inside("a", "ip", "-o", "-4", "addr")
        self.assertRegex(has, rf"eth1 +inet {networks['net_one']}/")
        self.assertEqual(len(set(re.findall(r" (eth\d) ", has))), 3, has)

    def test_a_bridge_of_others_is_used_as_it_is(self):
        run("ip", "link", "add", "theirs1", "type", "bridge")
        self.addCleanup(run, "ip", "link", "del", "theirs1")
        run("ip", "link", "add", "port1", "type", "veth", "peer", "name", "port2")
        self.addCleanup(run, "ip", "link", "del", "port1")
        for command in ("link set port1 master theirs1", "link set port1 up", "link set port2 up", "link set theirs1 up", "addr add 10.91.0.9/24 dev theirs1",
                        "addr add fd91::9/64 dev theirs1 nodad"):
            self.assertEqual(run("ip", *command.split()).returncode, 0, command)

        def state():
            settings = [f"/proc/sys/net/ipv{each}" for each in ("6/conf/theirs1/disable_ipv6", "4/conf/theirs1/route_localnet")]
            link = json.loads(run("ip", "-j", "addr", "show", "theirs1").stdout)[0]
            return ([pathlib.Path(each).read_text() for each in settings], link["address"], link["flags"], link["mtu"],
                    sorted(each["local"] for each in link["addr_info"]))

        wait_until(lambda: any(each.startswith("fe80") for each in state()[4]), 5, "the kernel's own address")
        before = state()
        text = """
services: {a: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, ports: ["18286:80"]}}
networks: {default: {%s driver_opts: {com.docker.network.bridge.name: theirs1}}}
"""
        for more, gateway in {"": "10.91.0.9", "ipam: {config: [{subnet: 10.91.0.0/24}]},": "10.91.0.9",
                              "ipam: {config: [{subnet: 10.92.0.0/24}]},": "10.92.0.1",
                              "enable_ipv6: true, ipam: {config: [{subnet: 'fd91::/64'}]},": "10.91.0.9",
                              "enable_ipv6: true,": "10.91.0.9"}.items():
            self.up(text % more)
            self.assertIn(f"default via {gateway} ", self.inside("a", "ip", "route"), more)
            if "ipv6" in more:  # what the bridge has is what the network has
                self.assertIn("default via fd91::9 ", self.inside("a", "ip", "-6", "route"))
            fetched = run("curl", "-sS", "-m", "2", "-o", "/dev/null", "http://127.0.0.1:18286/group")
            self.assertEqual(fetched.returncode, 0, more + fetched.stderr)
            now = state()
            self.assertEqual((now[0][0], now[1]), (before[0][0], before[1]), more)
            self.assertLessEqual(set(before[4]), set(now[4]), more)
            self.compose("down", "-t", "0")
            wait_until(lambda: state()[3:] == before[3:], 5, "the interface of the container to be gone")
            self.assertEqual(state(), before, more)
        run("ip", "link", "set", "theirs1", "down")
        self.up(text % "")
        self.assertIn("UP", state()[2])
        run("ip", "link", "del", "theirs1")
        time.sleep(0.5)
        done = self.compose("restart", "-t", "0", "a", check=False)
        self.assertIn('its bridge "theirs1", which is not ours to make, is not there', done.stdout + done.stderr)
        self.stop_daemon()
        self.start_daemon()
        self.compose("down", "-t", "0")

    def wait_for_link(self, name, there):
        wait_until(lambda: (run("ip", "link", "show", name).returncode == 0) == there, 5, f"{name} to be {'there' if there else 'gone'}")

    def test_neighbours_may_be_kept_apart(self):
        self.up("""
services:
  a: {image: busybox, init: true, command: sleep 1000, networks: [apart, together]}
  b: {image: busybox, init: true, command: sleep 1000, networks: [apart, together]}
networks:
  apart: {driver_opts: {com.docker.network.bridge.enable_icc: "false"}, ipam: {config: [{subnet: 10.78.0.0/24}]}}
  together: {ipam: {config: [{subnet: 10.79.0.0/24}]}}
""")
        there = {name: self.container("b")["networks"][f"net_{name}"] for name in ("apart", "together")}
        self.assertEqual(self.compose("exec", "-T", "a", "ping", "-c1", "-W1", there["together"], check=False).returncode, 0)
        self.assertNotEqual(self.compose("exec", "-T", "a", "ping", "-c1", "-W1", there["apart"], check=False).returncode, 0)
        self.inside("a", "ping", "-c1", "-W1", "10.78.0.1")

    def test_names_of_the_file_are_known_inside(self):
        self.up("""
services:
  db: {image: busybox, init: true, command: sleep 1000, networks: {back: {aliases: [postgres]}}}
  web:
    image: busybox
    init: true
    command: sleep 1000
    networks: [back]
    links: ["db:database"]
    dns: [192.0.2.53]
    dns_search: [example.com, corp]
    dns_opt: ["ndots:2", timeout:1]
    extra_hosts: ["other:192.0.2.7", "gate=host-gateway"]
    hostname: front
    domainname: example.net
networks: {back: {ipam: {config: [{subnet: 10.80.0.0/24}]}}}
""")
        hosts = self.inside("web", "cat", "/etc/hosts")
        self.assertIn("192.0.2.7\tother\n", hosts)
        self.assertIn("10.80.0.1\tgate\n", hosts)
        self.assertIn("\tfront.example.net front\n", hosts)
        self.assertEqual(self.inside("web", "cat", "/proc/sys/kernel/domainname"), "example.net\n")
        resolv = self.inside("web", "cat", "/etc/resolv.conf")
        self.assertEqual(resolv, "nameserver 127.0.0.11\nsearch example.com corp\noptions ndots:2 timeout:1\n")
        address = self.container("db")["networks"]["net_back"]
        for name in ("db", "postgres", "database", "net-db-1", self.container("db")["id"][:12]):
            self.assertIn(address, self.inside("web", "nslookup", "-type=a", f"{name}."), name)
        self.assertTrue(self.fails_inside("db", "nslookup", "-type=a", "database."), "a link is known to who has it alone")
        # Of another stack, on a network that both are on.
        (self.project / "other.yaml").write_text("""
name: other
services:
  job: {image: busybox, init: true, command: sleep 1000, networks: [back], external_links: ["net-db-1:theirs"]}
networks: {back: {external: true, name: net_back}}
""")
        self.compose("-f", "other.yaml", "up", "-d")
        self.assertIn(address, self.inside("job", "nslookup", "-type=a", "theirs.", project="other"))
        # The network is in use: `down` says so and leaves it.
        down = self.compose("down")
        self.assertIn("Resource is still in use", down.stdout + down.stderr)
        self.inside("job", "ping", "-c1", "-W1", "10.80.0.1", project="other")
        self.compose("-p", "other", "down")
        self.up("services: {a: {image: busybox, init: true, command: sleep 1000, networks: [back]}}\nnetworks: {back: {}}\n")

    def test_modes_name_the_network(self):
        self.up("""
services:
  shared: {image: busybox, init: true, command: sleep 1000, network_mode: bridge}
  host: {image: busybox, init: true, command: sleep 1000, network_mode: host}
  none: {image: busybox, init: true, command: sleep 1000, network_mode: none}
  host_too: {image: busybox, init: true, command: sleep 1000, networks: [of_host]}
  none_too: {image: busybox, init: true, command: sleep 1000, networks: [nothing]}
  joins: {image: busybox, init: true, command: sleep 1000, network_mode: "service:shared"}
networks:
  of_host: {external: true, name: host}
  nothing: {driver: none}
""")
        ours = json.loads(run("ip", "-j", "link", "show", "lo").stdout)[0]["ifindex"]
        here = run("readlink", "/proc/self/ns/net").stdout
        for service in ("host", "host_too"):
            self.assertEqual(self.inside(service, "readlink", "/proc/self/ns/net"), here, service)
        for service in ("none", "none_too"):
            self.assertEqual([line.split(":")[1] for line in self.inside(service, "ip", "-o", "link").splitlines()], [" lo"], service)
        self.assertEqual(ours, 1)
        self.assertEqual(self.inside("joins", "readlink", "/proc/self/ns/net"), self.inside("shared", "readlink", "/proc/self/ns/net"))
        (self.project / "other.yaml").write_text("""
name: other
services: {shared: {image: busybox, init: true, command: sleep 1000, network_mode: bridge}}
""")
        self.compose("-f", "other.yaml", "up", "-d")
        address = next(c for c in self.containers("shared") if c["project"] == "net")["networks"]["bridge"]
        self.inside("shared", "ping", "-c1", "-W1", address, project="other")
        self.assertIn(address, self.inside("shared", "nslookup", "-type=a", "net-shared-1.", project="other"))
        self.compose("-p", "other", "down", "-t", "0")
        self.inside("shared", "ping", "-c1", "-W1", "127.0.0.1")
        self.compose("down", "-t", "0")
        wait_until(lambda: not any(each.startswith(f"link b{self.tag()}") for each in self.leaks()), 5, "the shared network to go with the last of its containers")

    def test_a_macvlan_is_on_the_wire(self):
        run("ip", "netns", "add", self.instance)
        self.addCleanup(run, "ip", "netns", "del", self.instance)
        for command in (f"ip link add wire0 type veth peer name eth0 netns {self.instance}", "ip link set wire0 up",
                        f"ip -n {self.instance} addr add 10.90.0.1/24 dev eth0", f"ip -n {self.instance} link set eth0 up"):
            done = run(*command.split())
            self.assertEqual(done.returncode, 0, done.stderr)
        self.up("""
services:
  a: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, networks: {lan: {ipv4_address: 10.90.0.7}}}
  b: {image: busybox, init: true, command: sleep 1000, networks: [lan]}
networks:
  lan: {driver: macvlan, driver_opts: {parent: wire0}, ipam: {config: [{subnet: 10.90.0.0/24, gateway: 10.90.0.1}]}}
""")
        fetched = run("ip", "netns", "exec", self.instance, "curl", "-sS", "-m", "3", "http://10.90.0.7/group")
        self.assertEqual(fetched.returncode, 0, fetched.stderr)
        self.assertIn("default via 10.90.0.1 ", self.inside("b", "ip", "route"))
        self.inside("b", "wget", "-qO-", "http://a/group")
        self.compose("restart", "-t", "0", "a")
        self.inside("b", "wget", "-qO-", "http://a/group")
        self.compose("down", "-t", "0")
        self.assertIn('this host has no interface "nowhere0"', self.refused("""
services: {a: {image: busybox, init: true, command: sleep 1000, networks: [lan]}}
networks: {lan: {driver: macvlan, driver_opts: {parent: nowhere0}}}
"""))
        # ipvlan where the kernel has it; elsewhere it says what is missing.
        ipvlan = """
services: {a: {image: busybox, init: true, command: sleep 1000, networks: [lan]}}
networks:
  lan: {driver: ipvlan, driver_opts: {parent: wire0}, ipam: {config: [{subnet: 10.90.0.0/24, gateway: 10.90.0.1}]}}
"""
        if run("ip", "link", "add", "link", "wire0", "name", "probe0", "type", "ipvlan").returncode == 0:
            run("ip", "link", "del", "probe0")
            self.up(ipvlan)
            self.inside("a", "ping", "-c1", "-W1", "10.90.0.1")
        else:
            self.assertIn("the kernel has no ipvlan", self.refused(ipvlan))

    def test_a_range_may_be_one_address(self):
        text = """
services: {a: {image: busybox, init: true, command: sleep 1000, networks: [lan]}}
networks: {lan: {enable_ipv6: true, ipam: {config: [{subnet: 10.83.0.0/24, ip_range: 10.83.0.7/%s}, {subnet: 'fd83::/64', ip_range: 'fd83::9/%s'}]}}}
"""
        self.up(text % (32, 128))
        self.assertIn("inet 10.83.0.7/24 ", self.inside("a", "ip", "-4", "addr", "show", "eth0"))
        self.assertIn("inet6 fd83::9/64 ", self.inside("a", "ip", "-6", "addr", "show", "eth0"))
        self.stop_daemon()
        self.start_daemon()
        self.up(text % (32, 128))
        self.assertIn("all addresses of 10.83.0.0/24", self.refused((text % (32, 128)).replace("sleep 1000,", "sleep 1000, scale: 2,")))
        self.compose("down", "-t", "0")
        self.assertIn("10.83.0.7/31 is an address in a range: write 10.83.0.6/31", self.refused(text % (31, 128)))
        self.up((text % (31, 127)).replace("0.7/", "0.6/").replace("::9/", "::8/"))
        self.assertIn("inet 10.83.0.6/24 ", self.inside("a", "ip", "-4", "addr", "show", "eth0"))

    def test_addresses_that_no_container_can_have_are_named_by_their_key(self):
        text = """
services: {a: {image: busybox, command: 'true', networks: {lan: {%s}}}}
networks: {lan: {enable_ipv6: true, ipam: {config: [{subnet: 10.84.0.0/24, gateway: 10.84.0.9, aux_addresses: {printer: 10.84.0.5}}, {subnet: 'fd84::/64'}]}}}
"""
        for address, words in {"ipv4_address: 10.84.0.9": "10.84.0.9 is the gateway of networks.lan",
                               "ipv4_address: 10.84.0.0": "10.84.0.0 is the address of the network itself",
                               "ipv4_address: 10.84.0.255": "10.84.0.255 is the broadcast address of 10.84.0.0/24",
                               "ipv4_address: 10.84.0.5": "10.84.0.5 is what networks.lan.ipam.config has for printer under aux_addresses",
                               "ipv4_address: 10.85.0.5": "10.85.0.5 is not in 10.84.0.0/24",
                               "ipv6_address: 'fd84::1'": "fd84::1 is the gateway of networks.lan"}.items():
            told = self.refused(text % address)
            self.assertIn(f"services.a.networks.lan.{address.split(':')[0]}: {words}", told)
        # Where the engine chooses the subnet it is known once there is one.
        free = "services: {a: {image: busybox, command: sleep 1000, init: true, networks: {lan: {%s}}}}\nnetworks: {lan: }\n"
        self.up(free % "")
        address = self.container("a")["networks"]["net_lan"]
        self.assertIn("is that of the gateway", self.refused(free % f"ipv4_address: {address.rsplit('.', 1)[0]}.1"))
        self.assertEqual(self.container("a")["networks"]["net_lan"], address)
        service = "services: {a: {image: busybox, command: 'true', ports: ['%s:18299:80']}}\n"
        for host, words in {"[fe80::1]": "link-local", "224.0.0.9": "multicast", "[ff02::1]": "multicast", "255.255.255.255": "broadcast"}.items():
            told = self.refused(service % host)
            self.assertIn(f'services.a.ports[0].host_ip: "{host.strip("[]")}" is ', told)
            self.assertIn(words, told)

    def test_the_bridge_of_all_is_there_for_who_calls_it_external(self):
        self.up("""
services:
  both: {image: busybox, init: true, command: sleep 1000, networks: [all, default]}
  one: {image: busybox, init: true, command: sleep 1000, networks: [all]}
  mode: {image: busybox, init: true, command: sleep 1000, network_mode: bridge}
networks: {all: {external: true, name: bridge}}
""")
        self.assertEqual(set(self.container("both")["networks"]), {"bridge", "net_default"})
        for service in "both", "mode":
            self.assertIn(self.container(service)["networks"]["bridge"], self.inside("one", "nslookup", "-type=a", f"net-{service}-1."))
        self.assertIn('networks.all: "host" can only be the one network of a service', self.refused(
            "services: {both: {image: busybox, command: 'true', networks: [all, default]}}\nnetworks: {all: {external: true, name: host}}\n"))
        self.compose("down", "-t", "0", "--remove-orphans")
        wait_until(lambda: not any(each.startswith(f"link b{self.tag()}") for each in self.leaks()), 5, "the shared network to go with the last of its containers")

    def test_a_parent_may_be_a_vlan_that_is_made_for_it(self):
        run("ip", "netns", "add", self.instance)
        self.addCleanup(run, "ip", "netns", "del", self.instance)
        for command in (f"ip link add wire1 type veth peer name eth0 netns {self.instance}", "ip link set wire1 up",
                        f"ip -n {self.instance} link set eth0 up"):
            self.assertEqual(run(*command.split()).returncode, 0, command)
        if run("ip", "link", "add", "link", "wire1", "name", "wire1.9", "type", "vlan", "id", "9").returncode != 0:
            self.assertIn("the kernel has no VLANs", self.refused("""
services: {a: {image: busybox, init: true, command: sleep 1000, networks: [lan]}}
networks: {lan: {driver: macvlan, driver_opts: {parent: wire1.42}}}
"""))
            return
        for command in ("link add link eth0 name tagged type vlan id 42", "addr add 10.86.0.1/24 dev tagged", "link set tagged up"):
            self.assertEqual(run("ip", "-n", self.instance, *command.split()).returncode, 0, command)
        text = """
services: {a: {image: busybox, init: true, command: sleep 1000, networks: [lan, more]}}
networks:
  lan: {driver: macvlan, driver_opts: {parent: wire1.42}, ipam: {config: [{subnet: 10.86.0.0/24, gateway: 10.86.0.1}]}}
  more: {driver: macvlan, driver_opts: {parent: wire1.%s}}
"""
        self.up(text % 42)
        self.inside("a", "ping", "-c1", "-W2", "10.86.0.1")
        self.stop_daemon()
        self.start_daemon()
        self.inside("a", "ping", "-c1", "-W2", "10.86.0.1")
        self.up(text % 9)
        self.wait_for_link("wire1.42", True)
        self.compose("down", "-t", "0")
        self.wait_for_link("wire1.42", False)
        self.wait_for_link("wire1.9", True)  # somebody else has made it
        self.assertIn('no interface "wire1.5000"', self.refused(text % 5000))

    def test_what_leaves_makes_room_in_a_small_pool(self):
        self.stop_daemon()
        self.config = self.folder / "composed.yaml"
        self.config.write_text("networks: {pools: [10.96.0.0/20]}\n")
        self.start_daemon()
        every = ", ".join(f"n{number}" for number in range(16))
        for name in "one", "two":
            (self.project / f"{name}.yaml").write_text(
                f"name: {name}\nservices: {{a: {{image: busybox, init: true, command: sleep 1000, networks: [{every}]}}}}\nnetworks: {{{every.replace(',', ': ,')}: }}\n")
        self.compose("-f", "one.yaml", "up", "-d")
        for before, after in [("one", "two"), ("two", "one")] * 2:
            self.compose("-f", f"{before}.yaml", "down", "-t", "0")
            self.compose("-f", f"{after}.yaml", "up", "-d")
        self.compose("-f", "one.yaml", "down", "-t", "0")

    def test_what_cannot_be_is_refused_by_name(self):
        service = "services: {a: {image: busybox, command: 'true', networks: [lan]}}\nnetworks: {lan: {%s}}\n"
        for network, words in {
            "driver: overlay": "there are bridge, macvlan, ipvlan, host and none",
            "driver_opts: {encrypted: 'true'}": "driver_opts.encrypted is not known",
            "driver_opts: {com.docker.network.driver.mtu: '7'}": "no number from 68 to 65535",
            "driver: macvlan": "needs driver_opts.parent",
            "ipam: {config: [{subnet: 10.1.0.0/24, gateway: 10.2.0.1}]}": "gateway 10.2.0.1 is not in its subnet",
            "ipam: {config: [{subnet: 10.1.0.0/24, ip_range: 10.2.0.0/25}]}": "ip_range 10.2.0.0/25 is not in its subnet",
            "enable_ipv4: false": "neither IPv4 nor IPv6",
        }.items():
            self.assertIn(words, self.refused(service % network), network)
        self.assertIn("there are bridge, host, none, service:NAME and container:NAME",
                      self.refused("services: {a: {image: busybox, network_mode: overlay}}\n"))

    def test_what_has_no_effect_is_told_by_its_place(self):
        told = self.up("services:\n  a:\n    image: busybox\n    init: true\n    command: sleep 1000\n    dns_opt: [rotat]\n"
                       "    external_links: [nope, net-b-1:b]\n    volumes: [/tmp:/b:readonly]\n"
                       "  b: {image: busybox, init: true, command: sleep 1000}\n").stderr
        self.assertIn('compose.yaml:7:15: services.a.dns_opt[0]: resolvers do not know "rotat" and pass over it, did you mean "rotate"?', told)
        self.assertIn('compose.yaml:9:15: services.a.volumes[0]: "/tmp:/b:readonly": there is no mode "readonly"', told)
        self.assertIn('services.a.external_links: there is no container "nope"', told)
        self.assertNotIn('no container "net-b-1"', told)

    def test_a_definition_sent_as_yaml_is_checked_as_a_file_is(self):
        put = {"method": "PUT", "content_type": "application/yaml"}
        told = self.api("/projects/net", body="services: {a: {image: busybox, networks: {default: {interface_name: lo}}}}", **put)
        self.assertIn('services.a.networks.default.interface_name: "lo" is the loopback', str(told))
        told = self.api("/projects/net", body="services: {a: {image: busybox, command: 'true', dns_opt: [rotat]}}", **put)
        self.assertIn('did you mean "rotate"?', str(told))

    def test_a_bridge_of_the_file_is_no_other_interface_of_the_host(self):
        run("ip", "link", "add", "uplink0", "type", "veth", "peer", "name", "uplink1")
        before = run("ip", "-o", "addr", "show", "uplink0").stdout
        for name in "uplink0", "lo":
            refused = self.refused(f"services: {{a: {{image: busybox}}}}\nnetworks: {{default: {{driver_opts: {{com.docker.network.bridge.name: {name}}}}}}}\n")
            self.assertIn(f'driver_opts.com.docker.network.bridge.name: "{name}" is an interface of this host and no bridge', refused)
        self.assertEqual(run("ip", "-o", "addr", "show", "uplink0").stdout, before)
        run("ip", "link", "del", "uplink0")

    def test_a_network_of_another_stack_is_joined_by_who_says_so(self):
        self.up("services: {a: {image: busybox, init: true, command: sleep 1000}}\nnetworks: {default: {name: shared}}\n")
        other = "name: other\nservices: {b: {image: busybox, init: true, command: sleep 1000}}\nnetworks: {default: {%sname: shared}}\n"
        (self.project / "other.yaml").write_text(other % "")
        self.assertIn('network "shared" is of project "net" and is used as it is there; say so with networks.default: {external: true, name: shared}',
                      self.compose("-f", "other.yaml", "up", "-d").stderr)
        self.inside("b", "ping", "-c1", "-W1", self.container("a")["networks"]["shared"], project="other")
        (self.project / "key.yaml").write_text((other % "").replace("other", "third").replace("default", "front").replace("busybox,", "busybox, networks: [front],"))
        refused = self.compose("-f", "key.yaml", "up", "-d", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn('network "shared" is networks.default of project "net", not of project "third"; to be on it too: '
                      "networks.front: {external: true, name: shared}", refused.stderr)
        (self.project / "other.yaml").write_text(other % "external: true, driver: bridge, internal: true, enable_ipv6: true, attachable: true, labels: {a: b}, "
                                                         "ipam: {config: [{subnet: 10.1.0.0/24}]}, ")
        told = self.compose("-f", "other.yaml", "up", "-d").stderr
        for key in "driver", "internal", "enable_ipv6", "attachable", "labels", "ipam":
            self.assertIn(f"networks.default.{key} has no effect: an external network is made elsewhere", told)
        self.inside("b", "ping", "-c1", "-W1", self.container("a")["networks"]["shared"], project="other")
        self.compose("-p", "other", "down", "-t", "0")

    def test_what_a_network_mode_leaves_no_room_for_is_said(self):
        service = "services:\n  v: {image: busybox, init: true, command: sleep 1000}\n  a: {image: busybox, init: true, command: sleep 1000, %s}\n"
        for mode, keys in {"service:v": ("dns: 1.1.1.1", "extra_hosts: ['a:1.2.3.4']", "mac_address: '02:42:00:00:00:01'", "links: [v]", "ports: ['80']"),
                           "host": ("mac_address: '02:42:00:00:00:01'", "links: [v]", "external_links: [x]"),
                           "none": ("extra_hosts: ['a:host-gateway']",)}.items():
            for key in keys:
                self.assertIn(f"services.a.{key.split(':')[0]}", self.refused(service % f"network_mode: '{mode}', {key}"), (mode, key))
        for mode, keys in {"service:v": ("dns_search: x.test", "dns_opt: ['timeout:1']", "expose: ['80']"), "host": ("ports: ['18287:80']",),
                           "none": ("ports: ['18287:80']", "dns: 1.1.1.1", "dns_search: x.test", "mac_address: '02:42:00:00:00:01'", "links: [v]")}.items():
            told = self.up(service % f"network_mode: '{mode}', {', '.join(keys)}").stderr
            for key in keys:
                self.assertIn(f"services.a.{key.split(':')[0]} has no effect: ", told, (mode, key))
        self.up(service % "network_mode: host, extra_hosts: ['a:1.2.3.4', 'me:host-gateway'], dns: 192.0.2.53, dns_search: x.test, dns_opt: ['ndots:3']")
        hosts = self.inside("a", "cat", "/etc/hosts")
        self.assertTrue(hosts.startswith(pathlib.Path("/etc/hosts").read_text()), hosts)
        self.assertIn("1.2.3.4\ta\n127.0.0.1\tme\n", hosts)
        resolv = self.inside("a", "cat", "/etc/resolv.conf")
        self.assertEqual([line for line in resolv.splitlines() if line.startswith(("nameserver", "search", "options"))],
                         ["nameserver 192.0.2.53", "search x.test", "options ndots:3"])

    def test_another_definition_makes_the_network_anew(self):
        text = """
services:
  a: {image: busybox, init: true, command: sleep 1000, networks: [lan]}
  b: {image: busybox, init: true, command: sleep 1000, networks: [other]}
networks: {lan: {ipam: {config: [{subnet: %s}]}}, other: {}}
"""
        self.up(text % "10.81.0.0/24")
        before = {service: self.container(service)["id"] for service in "ab"}
        told = self.up(text % "10.82.0.0/24")
        self.assertIn("10.82.0.", self.container("a")["networks"]["net_lan"])
        self.inside("a", "ping", "-c1", "-W1", "10.82.0.1")
        self.assertEqual(self.container("b")["id"], before["b"], "who is not on it stays")
        self.assertNotEqual(self.container("a")["id"], before["a"])
        self.assertIn("Network net_lan", told.stdout + told.stderr)


if __name__ == "__main__":
    enter_own_network()
    unittest.main()
