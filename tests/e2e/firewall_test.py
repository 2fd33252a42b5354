"""What may reach what: the probes of the firewall skeleton, through the real engine.

All of it happens in a network namespace of the test's own, with br_netfilter off and then on. A second "machine" is a network namespace with a veth to the host; it reaches the containers' subnets by a route over
us, as a neighbour on a LAN could.
"""
import os
import signal
import socket
import subprocess
import sys
import threading
import unittest

from harness import BIN, DaemonTest, enter_own_network, set_bridge_netfilter, wait_until

STACK = """
name: fw
services:
  a:
    image: busybox
    init: true
    command: httpd -f -p 80 -h /etc
    ports: ["18180:80", "127.0.0.1:18190:80"]
    networks: [one]
    privileged: true
  c: {image: busybox, init: true, command: sleep 1000, networks: [one]}
  d: {image: busybox, init: true, command: sleep 1000, networks: [two]}
  i: {image: busybox, init: true, command: sleep 1000, networks: [inside]}
  udp:
    image: busybox
    init: true
    command: /udp_echo 53
    volumes: ['UDP_ECHO:/udp_echo:ro']
    ports: ['18053:53/udp']
    environment: {ROUND: '1'}
  both: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, networks: [inside, two], ports: ["18181:80"]}
networks:
  one: {}
  two: {}
  inside: {internal: true}
""".replace("UDP_ECHO", str(BIN / "udp_echo"))

# Sends for ever from one port, as a resolver or a game does, and says of each packet whether it was answered.
STEADY_CLIENT = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.bind(("", 40053))
client.settimeout(0.1)
while True:
    try:
        client.sendto(b"ping", (sys.argv[1], 18053))
        client.recv(100)
        print("+", flush=True)
    except OSError:
        print("-", flush=True)
"""


def run(*command):
    return subprocess.run(command, text=True, capture_output=True)


class FirewallTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.outside = self.instance + "x"
        self.link = f"x{os.getpid() % 100000}"
        run("ip", "netns", "add", self.outside)
        self.addCleanup(run, "ip", "netns", "del", self.outside)
        for command in (f"ip link add {self.link} type veth peer name eth0 netns {self.outside}",
                        f"ip addr add 198.18.0.1/24 dev {self.link}", f"ip link set {self.link} up",
                        f"ip -n {self.outside} addr add 198.18.0.2/24 dev eth0", f"ip -n {self.outside} link set eth0 up",
                        f"ip -n {self.outside} link set lo up", f"ip -n {self.outside} route add default via 198.18.0.1"):
            done = run(*command.split())
            self.assertEqual(done.returncode, 0, done.stderr)
        self.write(STACK)
        self.compose("up", "-d")
        self.a = next(iter(self.container("a")["networks"].values()))

    def from_host(self, url):
        return run("curl", "-sS", "-m", "1", "-o", "/dev/null", url).returncode == 0

    def from_outside(self, url):
        return run("ip", "netns", "exec", self.outside, "curl", "-sS", "-m", "1", "-o", "/dev/null", url).returncode == 0

    def from_container(self, service, url):
        return self.compose("exec", "-T", service, "timeout", "1", "wget", "-q", "-O", "/dev/null", url,
                            check=False).returncode == 0

    def test_published_ports_are_reached_from_everywhere(self):
        for name, reached in {
            "another machine": self.from_outside("http://198.18.0.1:18180/group"),
            "the host's loopback": self.from_host("http://127.0.0.1:18180/group"),
            "the host's own address": self.from_host("http://198.18.0.1:18180/group"),
            "the container itself": self.from_container("a", "http://198.18.0.1:18180/group"),
            "a neighbour on its network": self.from_container("c", "http://198.18.0.1:18180/group"),
            "a container of another network": self.from_container("d", "http://198.18.0.1:18180/group"),
            "the host, published on loopback": self.from_host("http://127.0.0.1:18190/group"),
            "another machine, of one on an internal network too": self.from_outside("http://198.18.0.1:18181/group"),
            "a container of another network, the same": self.from_container("a", "http://198.18.0.1:18181/group"),
        }.items():
            self.assertTrue(reached, name)

    def test_a_udp_flow_that_goes_on_reaches_what_is_behind_the_port_now(self):
        for address, where in ("198.18.0.1", ("ip", "netns", "exec", self.outside)), ("127.0.0.1", ()):
            answers = []
            client = subprocess.Popen([*where, sys.executable, "-c", STEADY_CLIENT, address], stdout=subprocess.PIPE, text=True)
            reader = threading.Thread(target=lambda: answers.extend(client.stdout))
            reader.start()
            try:
                self.answered(answers, "the first container")
                self.write(STACK.replace("ROUND: '1'", f"ROUND: '{address}'"))
                self.compose("up", "-d", "udp")
                self.answered(answers, "the recreated container")
                self.compose("stop", "-t", "0", "udp")
                wait_until(lambda: answers[-3:] == ["-\n"] * 3, 5, "silence")
                self.compose("start", "udp")
                self.answered(answers, "the container that was started again")
            finally:
                client.kill()
                client.wait()
                reader.join()
                client.stdout.close()

    def answered(self, answers, by):
        so_far = len(answers)
        wait_until(lambda: "+\n" in answers[so_far:], 5, f"{by} to answer")

    def test_what_is_not_published_is_not_reached(self):
        for name, reached in {
            "a container of another network, directly": self.from_container("d", f"http://{self.a}/group"),
            "another machine, directly": self.from_outside(f"http://{self.a}/group"),
            "another machine, a port published on loopback": self.from_outside("http://198.18.0.1:18190/group"),
        }.items():
            self.assertFalse(reached, name)
        self.assertTrue(self.from_container("c", f"http://{self.a}/group"), "a neighbour, directly")

    def test_the_outside_sees_the_hosts_address_and_internal_networks_have_no_outside(self):
        server = subprocess.Popen(
            ["ip", "netns", "exec", self.outside, "python3", "-c",
             "import socket\ns = socket.create_server(('0.0.0.0', 7000))\nprint('up', flush=True)\n"
             "while True:\n    c, a = s.accept()\n    c.sendall(a[0].encode()); c.close()\n"],
            stdout=subprocess.PIPE, text=True)
        try:
            server.stdout.readline()
            seen = self.compose("exec", "-T", "c", "nc", "-w", "1", "198.18.0.2", "7000").stdout
            self.assertEqual(seen, "198.18.0.1")
            inside = self.compose("exec", "-T", "i", "timeout", "1", "nc", "-w", "1", "198.18.0.2", "7000", check=False)
            self.assertNotEqual(inside.stdout, "198.18.0.1")
        finally:
            server.kill()
            server.wait()
            server.stdout.close()

    def test_a_forged_loopback_address_does_not_reach_the_host(self):
        # CVE-2020-8558: bridges have route_localnet, so only the guard keeps a container from 127.0.0.1 of the host.
        with socket.create_server(("127.0.0.1", 0)) as host_only:
            host_only.settimeout(0.2)
            port = host_only.getsockname()[1]
            reached = []
            stop = threading.Event()

            def accept():
                while not stop.is_set():
                    try:
                        connection, address = host_only.accept()
                        reached.append(address)
                        connection.close()
                    except OSError:
                        pass

            thread = threading.Thread(target=accept)
            thread.start()
            try:
                gateway = self.a.rsplit(".", 1)[0] + ".1"
                self.compose("exec", "-T", "a", "sh", "-c",
                             "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; "
                             "ip route del local 127.0.0.0/8 dev lo table local; "
                             "ip route del local 127.0.0.1 dev lo table local; ip addr del 127.0.0.1/8 dev lo; "
                             f"ip route add 127.0.0.1/32 via {gateway} dev eth0 src {self.a}", check=False)
                forge = ("exec", "-T", "a", "timeout", "1", "nc", "-w", "1", "127.0.0.1", str(port))
                self.compose(*forge, check=False)
                self.assertEqual(reached, [])
                # Without the guard the same packet arrives: what was refused above was refused by it. The daemon sleeps meanwhile, since it would put the guard back at once.
                pid = str(self.container("a")["pid"])
                self.daemon.send_signal(signal.SIGSTOP)
                try:
                    done = run("nft", "flush", "chain", "ip", self.instance, "raw_prerouting")
                    self.assertEqual(done.returncode, 0, done.stderr)
                    run("nsenter", "-t", pid, "-n", "-m", *forge[3:])
                finally:
                    self.daemon.send_signal(signal.SIGCONT)
                self.assertEqual([address for address, _ in reached], [self.a])
            finally:
                stop.set()
                thread.join()


class WithBridgeNetfilterTest(FirewallTest):
    """The same where bridged packets pass the host's firewall too, as dockerd and Kubernetes have it."""

    def setUp(self):
        set_bridge_netfilter("1")
        self.addCleanup(set_bridge_netfilter, "0")
        super().setUp()


if __name__ == "__main__":
    enter_own_network()
    unittest.main()
