"""IPv6: networks that have it, ports published on it, and what may reach what. A second "machine" is a network namespace with a veth to the host."""
import ipaddress
import socket
import subprocess
import sys
import unittest

from harness import BIN, DaemonTest, enter_own_network, set_bridge_netfilter, wait_until

STACK = """
name: six
services:
  web:
    image: busybox
    init: true
    command: httpd -f -p 80 -h /etc
    ports: ["18180:80", "[::1]:18190:80", "127.0.0.1:18191:80"]
    networks: {one: {ipv6_address: "fd77:1::10"}}
    privileged: true
  four:
    image: busybox
    init: true
    command: httpd -f -p 80 -h /etc
    ports: ["18181:80"]
    networks: [old]
  udp:
    image: busybox
    init: true
    command: /udp_echo 53
    volumes: ['UDP_ECHO:/udp_echo:ro']
    ports: ['18053:53/udp']
    networks: [old]
    environment: {ROUND: '1'}
  peer: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, networks: [one]}
  stranger: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, networks: [two]}
  inner: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, networks: [inside], ports: ["18183:80"]}
  closed: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, networks: [inside_four], ports: ["18184:80"]}
  only: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, networks: [six], ports: ["18182:80"]}
networks:
  one: {enable_ipv6: true, ipam: {config: [{subnet: "fd77:1::/64"}, {subnet: 10.71.0.0/24}]}}
  two: {enable_ipv6: true}
  six: {enable_ipv6: true, enable_ipv4: false}
  old: {}
  inside: {enable_ipv6: true, internal: true}
  inside_four: {internal: true}
""".replace("UDP_ECHO", str(BIN / "udp_echo"))


def run(*command):
    return subprocess.run(command, text=True, capture_output=True)


class Ipv6Test(DaemonTest):
    def setUp(self):
        super().setUp()
        self.outside = self.instance + "x"
        run("ip", "netns", "add", self.outside)
        self.addCleanup(run, "ip", "netns", "del", self.outside)
        # Else the first second of a link is spent on looking for duplicates, and nobody can be asked for its address.
        for where in (), ("ip", "netns", "exec", self.outside):
            run(*where, "sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad")
        for command in (f"ip link add out0 type veth peer name eth0 netns {self.outside}",
                        "ip -6 addr add fd99::1/64 dev out0 nodad", "ip link set out0 up",
                        f"ip -n {self.outside} -6 addr add fd99::2/64 dev eth0 nodad", f"ip -n {self.outside} link set eth0 up",
                        f"ip -n {self.outside} link set lo up", f"ip -n {self.outside} -6 route add default via fd99::1"):
            done = run(*command.split())
            self.assertEqual(done.returncode, 0, command + done.stderr)
        self.addCleanup(run, "ip", "link", "del", "out0")
        self.write(STACK)
        self.compose("up", "-d")

    def inside(self, service, *command):
        return self.compose("exec", "-T", service, *command).stdout

    def from_host(self, url):
        return run("curl", "-gsS", "-m", "2", "-o", "/dev/null", url).returncode == 0

    def from_outside(self, url):
        return run("ip", "netns", "exec", self.outside, "curl", "-gsS", "-m", "2", "-o", "/dev/null", url).returncode == 0

    def from_container(self, service, url):
        return self.compose("exec", "-T", service, "timeout", "2", "wget", "-q", "-O", "/dev/null", url,
                            check=False).returncode == 0

    def address_of(self, service):
        """Its address in the kernel, not in our records."""
        words = self.inside(service, "ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "global").split()
        return words[words.index("inet6") + 1].split("/")[0]

    def test_addresses_routes_and_names(self):
        self.assertEqual(self.address_of("web"), "fd77:1::10")
        peer = self.address_of("peer")
        self.assertTrue(peer.startswith("fd77:1::"), peer)
        self.assertIn("default via fd77:1::1 ", self.inside("web", "ip", "-6", "route"))
        self.inside("web", "ping", "-6", "-c1", "-W1", peer)
        self.inside("web", "ping", "-6", "-c1", "-W1", "peer")
        self.assertIn(peer, self.inside("web", "nslookup", "-type=aaaa", "peer."))
        self.assertIn("six-peer-1.six_one", self.inside("web", "nslookup", peer))
        self.assertIn("fd77:1::10\t", self.inside("web", "cat", "/etc/hosts"))
        chosen = self.address_of("stranger")
        self.assertTrue(chosen.startswith("fd"), chosen)
        self.assertNotIn("inet ", self.inside("only", "ip", "addr", "show", "eth0"))
        self.assertNotIn("inet6", self.inside("four", "ip", "addr", "show", "eth0"))
        self.assertEqual(self.inside("web", "cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra"), "0\n")

    def reaches_the_host(self, service, gateway):
        server = subprocess.Popen([sys.executable, "-m", "http.server", "--bind", "::", "7001", "--directory", "/etc"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: self.from_host("http://[::1]:7001/group"), 5, "the host's server")
            return self.from_container(service, f"http://[{gateway}]:7001/group")
        finally:
            server.kill()
            server.wait()

    def probes(self):
        stranger = self.address_of("stranger")
        only = self.address_of("only")
        inner = self.address_of("inner")
        gateway = ipaddress.ip_interface(f"{inner}/64").network[1]  # this host, on the internal network
        run("ip", "-n", self.outside, "-6", "route", "add", "fd77:1::/64", "via", "fd99::1")
        return {
            "another machine": (self.from_outside("http://[fd99::1]:18180/group"), True),
            "another machine, to a container without IPv6": (self.from_outside("http://[fd99::1]:18181/group"), True),
            "another machine, to one without IPv4": (self.from_outside("http://[fd99::1]:18182/group"), True),
            "the host's loopback": (self.from_host("http://[::1]:18180/group"), True),
            "the host's loopback, to a container without IPv6": (self.from_host("http://[::1]:18181/group"), True),
            "the host's loopback, to one without IPv4": (self.from_host("http://[::1]:18182/group"), True),
            "the host's own address": (self.from_host("http://[fd99::1]:18180/group"), True),
            "the host, published on ::1": (self.from_host("http://[::1]:18190/group"), True),
            "another machine, published on ::1": (self.from_outside("http://[fd99::1]:18190/group"), False),
            "another machine, published on 127.0.0.1": (self.from_outside("http://[fd99::1]:18191/group"), False),
            "IPv4, as before": (self.from_host("http://127.0.0.1:18180/group"), True),
            "the container itself": (self.from_container("web", "http://[fd99::1]:18180/group"), True),
            "a neighbour on its network": (self.from_container("peer", "http://[fd99::1]:18180/group"), True),
            "a container of another network": (self.from_container("stranger", "http://[fd99::1]:18180/group"), True),
            "a neighbour, directly": (self.from_container("peer", "http://[fd77:1::10]/group"), True),
            "another network, directly": (self.from_container("peer", f"http://[{stranger}]/group"), False),
            "another machine, directly": (self.from_outside("http://[fd77:1::10]/group"), False),
            "an internal network, outwards": (self.from_container("inner", f"http://[{only}]/group"), False),
            "an internal network, inwards": (
                self.compose("exec", "-T", "peer", "ping", "-6", "-c1", "-W1", inner, check=False).returncode == 0, False),
            "another machine, published from an internal network": (self.from_outside("http://[fd99::1]:18183/group"), False),
            "another machine, published from one without IPv6": (self.from_outside("http://[fd99::1]:18184/group"), False),
            "the host, published from an internal network": (self.from_host("http://[::1]:18183/group"), False),
            "the host, published from one without IPv6": (self.from_host("http://[::1]:18184/group"), False),
            "a neighbour on an internal network": (self.from_container("inner", f"http://[{inner}]/group"), True),
            "an internal network, to a service of the host, as with Docker": (self.reaches_the_host("inner", gateway), True),
            "an internal network, to what is published": (self.from_container("inner", f"http://[{gateway}]:18180/group"), False),
            "an internal network, to what a shim passes on": (self.from_container("inner", f"http://[{gateway}]:18181/group"), False),
            "the way out": (self.compose("exec", "-T", "peer", "ping", "-6", "-c1", "-W1", "fd99::2", check=False).returncode == 0, True),
        }

    def test_what_may_reach_what(self):
        for bridged in "0", "1":
            set_bridge_netfilter(bridged)
            for name, (reached, wanted) in self.probes().items():
                self.assertEqual(reached, wanted, f"{name} (br_netfilter {bridged})")

    def test_what_leaves_bears_the_hosts_address(self):
        sniffer = subprocess.Popen(["ip", "netns", "exec", self.outside, "python3", "-c",
                                    "import socket\ns = socket.create_server(('::', 7000), family=socket.AF_INET6)\n"
                                    "print('up', flush=True)\nprint(s.accept()[1][0], flush=True)"],
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(sniffer.stdout.close)
        self.assertEqual(sniffer.stdout.readline(), "up\n")
        self.compose("exec", "-T", "peer", "timeout", "2", "nc", "-w", "1", "fd99::2", "7000", check=False)
        self.assertEqual(sniffer.stdout.readline().strip(), "fd99::1")
        sniffer.wait(5)

    def test_datagrams_come_back(self):
        client = ("import socket,sys\ns=socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\ns.settimeout(2)\ns.connect((sys.argv[1], 18053))\n"
                  "for n in range(3):\n    s.send(b'ping')\n    print(s.recv(100))")
        for where, address in ((), "::1"), ((), "fd99::1"), (("ip", "netns", "exec", self.outside), "fd99::1"):
            done = run(*where, "python3", "-c", client, address)
            self.assertEqual(done.returncode, 0, (address, done.stderr))

    def test_much_goes_through_the_proxy_both_ways(self):
        # 30 MB down, many at a time, and a client that stops reading holds up nobody else.
        self.inside("four", "sh", "-c", "head -c 30000000 /dev/zero > /etc/big")
        stuck = socket.create_connection(("::1", 18181))
        self.addCleanup(stuck.close)
        stuck.sendall(b"GET /big HTTP/1.0\r\n\r\n")
        many = [subprocess.Popen(["curl", "-gsS", "-m", "20", "-o", "/dev/null", "-w", "%{size_download}\n", "http://[::1]:18181/big"],
                                 stdout=subprocess.PIPE, text=True) for _ in range(8)]
        self.assertEqual([each.communicate(timeout=60)[0] for each in many], ["30000000\n"] * 8)
        # Half closed: what was sent before arrives, and the answer comes.
        with socket.create_connection(("::1", 18181), timeout=5) as half:
            half.sendall(b"GET /group HTTP/1.0\r\n\r\n")
            half.shutdown(socket.SHUT_WR)
            answer = b""
            while part := half.recv(65536):
                answer += part
            self.assertIn(b"200 OK", answer)

    def test_a_port_goes_with_its_container(self):
        self.compose("stop", "-t", "0", "four", "web")
        for url in "http://[::1]:18181/", "http://[::1]:18180/", "http://[fd99::1]:18180/":
            refused = run("curl", "-gsS", "-m", "2", url)
            self.assertEqual(refused.returncode, 7, (url, refused.stderr))  # connection refused, at once
        self.compose("start", "four", "web")
        wait_until(lambda: self.from_host("http://[::1]:18181/group"), 5, "the port to be back")
        self.stop_daemon()
        self.assertTrue(self.from_host("http://[::1]:18181/group"), "without a daemon")
        self.assertTrue(self.from_outside("http://[fd99::1]:18180/group"), "without a daemon")
        self.start_daemon()
        self.assertTrue(self.from_host("http://[::1]:18181/group"))


if __name__ == "__main__":
    enter_own_network()
    unittest.main()
