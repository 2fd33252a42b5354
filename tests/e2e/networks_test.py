"""What the keys of networks do, as seen from inside the containers and in the kernel. All of it happens in a network namespace of the test's own."""
import json
import socket
import subprocess
import unittest

from harness import DaemonTest, enter_own_network, wait_until


def run(*command):
    return subprocess.run(command, text=True, capture_output=True)


class NetworksTest(DaemonTest):
    def up(self, text, *arguments):
        self.write("name: net\n" + text)
        return self.compose("up", "-d", *arguments)

    def refused(self, text):
        self.write("name: net\n" + text)
        done = self.compose("up", "-d", check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr

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

    def test_ports_are_local_where_the_daemon_says_so(self):
        self.stop_daemon()
        self.config = self.folder / "composed.yaml"
        self.config.write_text("networks: {publish_default: 127.0.0.1}\n")
        self.start_daemon()
        self.up("""
services:
  a: {image: busybox, command: httpd -f -p 80 -h /etc, ports: ["18280:80", "0.0.0.0:18281:80"]}
  b: {image: busybox, command: httpd -f -p 80 -h /etc, ports: ["18282:80"], networks: [bound]}
networks: {bound: {driver_opts: {com.docker.network.bridge.host_binding_ipv4: 127.0.0.2}}}
""")
        run("ip", "addr", "add", "198.18.7.1/32", "dev", "lo")
        for url, reached in {"127.0.0.1:18280": True, "198.18.7.1:18280": False, "[::1]:18280": False, "198.18.7.1:18281": True,
                             "127.0.0.2:18282": True, "127.0.0.1:18282": False}.items():
            fetched = run("curl", "-gsS", "-m", "2", "-o", "/dev/null", f"http://{url}/group")
            self.assertEqual(fetched.returncode == 0, reached, url)

    def test_a_bridge_of_the_file_is_no_other_interface_of_the_host(self):
        run("ip", "link", "add", "uplink0", "type", "veth", "peer", "name", "uplink1")
        before = run("ip", "-o", "addr", "show", "uplink0").stdout
        for name in "uplink0", "lo":
            refused = self.refused(f"services: {{a: {{image: busybox}}}}\nnetworks: {{default: {{driver_opts: {{com.docker.network.bridge.name: {name}}}}}}}\n")
            self.assertIn(f'driver_opts.com.docker.network.bridge.name: "{name}" is an interface of this host and no bridge', refused)
        self.assertEqual(run("ip", "-o", "addr", "show", "uplink0").stdout, before)
        run("ip", "link", "del", "uplink0")

    def test_each_family_may_be_published_by_itself(self):
        self.up("services: {a: {image: busybox, command: httpd -f -p 80 -h /etc, ports: ['0.0.0.0:18284:80', '[::]:18284:80']}}\n")
        for url in "127.0.0.1:18284", "[::1]:18284":
            wait_until(lambda u=url: run("curl", "-gsS", "-m", "2", "-o", "/dev/null", f"http://{u}/group").returncode == 0, 5, url)
        for other in "18285:80", "127.0.0.1:18285:80":
            self.assertIn("published twice", self.refused(f"services: {{a: {{image: busybox, ports: ['0.0.0.0:18285:80', '{other}']}}}}\n"))

    def test_services_are_found_by_port(self):
        self.up("""
services:
  web: {image: busybox, init: true, command: sleep 1000, scale: 2, expose: ["9000"], ports: [{target: 8080, name: http}]}
  asker: {image: busybox, init: true, command: sleep 1000}
""")
        for name in "_http._tcp.web.", "_8080._tcp.web.", "_9000._tcp.web.":
            answer = self.inside("asker", "nslookup", "-type=srv", name)
            self.assertIn("net-web-1.net_default", answer, name)
            self.assertIn("net-web-2.net_default", answer, name)
        self.assertIn("8080", self.inside("asker", "nslookup", "-type=srv", "_http._tcp.web."))

    def test_what_the_kernel_lacks_is_said(self):
        text = "services: {a: {image: busybox, command: sleep 1000, init: true, ports: ['18283:80/sctp']}}\n"
        try:
            socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
        except OSError:
            self.assertIn("the kernel of this host has no sctp; if there is a module: modprobe sctp", self.refused(text))
            return
        self.up(text)

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
