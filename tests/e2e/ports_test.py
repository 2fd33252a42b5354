"""Published ports and those that services offer, as seen from the host, from the containers and in the kernel. All of it happens in a network
namespace of the test's own."""
import socket
import subprocess
import unittest

from harness import StackTest, enter_own_network, wait_until


def run(*command):
    return subprocess.run(command, text=True, capture_output=True)

class PortsTest(StackTest):
    head = "name: net\n"

    def test_ports_that_are_any_are_not_the_same(self):
        self.up("services: {a: {image: busybox, init: true, command: sleep 1000, ports: ['0:80', '0:81']}}\n")
        published = {self.compose("port", "a", port).stdout for port in ("80", "81")}
        self.assertEqual(len(published), 2)

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

    def test_each_family_may_be_published_by_itself(self):
        self.up("services: {a: {image: busybox, command: httpd -f -p 80 -h /etc, ports: ['0.0.0.0:18284:80', '[::]:18284:80']}}\n")
        for url in "127.0.0.1:18284", "[::1]:18284":
            wait_until(lambda u=url: run("curl", "-gsS", "-m", "2", "-o", "/dev/null", f"http://{u}/group").returncode == 0, 5, url)
        self.assertIn("published twice", self.refused("services: {a: {image: busybox, ports: ['0.0.0.0:18285:80', '127.0.0.1:18285:80']}}\n"))

    def test_ports_that_lead_nowhere_are_not_bound(self):
        run("ip", "link", "add", "wire1", "type", "veth", "peer", "name", "wire2")
        self.addCleanup(run, "ip", "link", "del", "wire1")
        service = "services: {a: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, networks: [lan], ports: [%s]}}\nnetworks: {lan: {%s}}\n"
        six = "enable_ipv6: true, enable_ipv4: false"
        for ports, network, words in (("'18288:80'", "internal: true", "services.a.ports has no effect: all of its networks are internal"),
                                      ("'18288:80'", "driver: macvlan, driver_opts: {parent: wire1}", "of driver macvlan, on whose wire it has an address of its own"),
                                      ("'0.0.0.0:18288:80'", six, "services.a.ports 0.0.0.0:18288 has no effect: the container has no IPv4"),
                                      ("'18288:80'", six, "")):
            told = self.up(service % (ports, network)).stderr
            self.assertIn(words, told)
            self.assertEqual("no effect" in told, bool(words), told)
            refused = run("curl", "-sS", "-m", "2", "http://127.0.0.1:18288/group")
            self.assertEqual(refused.returncode, 7, (network, refused.stderr))  # connection refused, at once
            reached = run("curl", "-gsS", "-m", "2", "-o", "/dev/null", "http://[::1]:18288/group").returncode == 0
            self.assertEqual(reached, not words, network)
            self.compose("down", "-t", "0")

    def test_routed_networks_have_their_ports_open_and_not_translated(self):
        run("ip", "netns", "add", self.instance)
        self.addCleanup(run, "ip", "netns", "del", self.instance)
        for command in (f"ip link add wire3 type veth peer name eth0 netns {self.instance}", "ip link set wire3 up", "ip addr add 10.93.0.1/24 dev wire3",
                        f"ip -n {self.instance} addr add 10.93.0.2/24 dev eth0", f"ip -n {self.instance} link set eth0 up",
                        f"ip -n {self.instance} route add default via 10.93.0.1", "ip -6 addr add fd93::1/64 dev wire3 nodad",
                        f"ip -n {self.instance} -6 addr add fd93::2/64 dev eth0 nodad", f"ip -n {self.instance} -6 route add default via fd93::1"):
            self.assertEqual(run(*command.split()).returncode, 0, command)
        text = """
services:
  a: {image: busybox, init: true, command: sh -c 'httpd -p 81 -h /etc; httpd -f -p 80 -h /etc', ports: ["18289:80", "127.0.0.1:18290:81"], networks: [lan]}
  b: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, ports: ["18289:80"], networks: [lan]}
  c: {image: busybox, init: true, command: sleep 1000, networks: [other]}
  d: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, ports: ["18291:80"], networks: {lan6: {ipv6_address: "fd94::7"}}}
networks:
  lan6: {enable_ipv6: true, driver_opts: {com.docker.network.bridge.gateway_mode_ipv6: routed}, ipam: {config: [{subnet: "fd94::/64"}]}}
  lan: {driver_opts: {com.docker.network.bridge.gateway_mode_ipv4: routed}, ipam: {config: [{subnet: 10.94.0.0/24}]}}
  other: {}
"""
        self.assertIn("services.a.ports 127.0.0.1:18290 has no effect: its network is routed", self.up(text).stderr)
        a = self.container("a")["networks"]["net_lan"]

        def reached(*url, where=()):
            return run(*where, "curl", "-gsS", "-m", "2", "-o", "/dev/null", *url).returncode == 0

        outside = ("ip", "netns", "exec", self.instance)
        self.assertTrue(reached(f"http://{a}:80/group", where=outside), "by its route")
        self.assertFalse(reached(f"http://{a}:81/group", where=outside), "what is published on an address of the host")
        self.assertFalse(reached("http://10.93.0.1:18289/group", where=outside), "nothing of the host leads there")
        self.shell("c", f"timeout 2 wget -qO /dev/null http://{a}:80/group")
        wait_until(lambda: reached("http://[fd94::7]:80/group", where=outside), 5, "IPv6 by its route")
        self.assertTrue(reached("http://127.0.0.1:18291/group"), "of the family that is translated")
        self.assertFalse(reached("http://[::1]:18291/group"), "of the family that is routed")
        self.assertIn(f"{a}:80->80/tcp", self.compose("ps").stdout)
        self.compose("stop", "-t", "0", "a")
        self.assertNotIn(a, run("nft", "list", "set", "ip", self.instance, "open").stdout)

    def test_services_are_found_by_port(self):
        self.up("""
services:
  web: {image: busybox, init: true, command: sleep 1000, scale: 2, expose: ["9000"], ports: [{target: 8080, name: http}]}
  asker: {image: busybox, init: true, command: sleep 1000}
""")
        for name in "_http._tcp.web.", "_8080._tcp.web.", "_9000._tcp.web.":
            answer = self.shell("asker", "nslookup -type=srv " + name)
            self.assertIn("net-web-1.net_default", answer, name)
            self.assertIn("net-web-2.net_default", answer, name)
        self.assertIn("8080", self.shell("asker", "nslookup -type=srv _http._tcp.web."))

    def test_what_the_kernel_lacks_is_said(self):
        text = "services: {a: {image: busybox, command: sleep 1000, init: true, ports: ['18283:80/sctp']}}\n"
        try:
            socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
        except OSError:
            self.assertIn("the kernel of this host has no sctp; if there is a module: modprobe sctp", self.refused(text))
            return
        self.up(text)


if __name__ == "__main__":
    enter_own_network()
    unittest.main()
