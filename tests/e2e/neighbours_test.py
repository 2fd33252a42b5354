"""Others that filter packets beside us, the real ones: our traffic passes, and what they have closed stays closed.

A network namespace of the test's own is the host; a second one with a veth to it is another machine.
"""
import pathlib
import shutil
import subprocess
import unittest

from harness import DaemonTest, busybox_archive, enter_own_network, set_bridge_netfilter, wait_until
from neighbours import Neighbours, make_root

STACK = """
name: beside
services:
  web: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, ports: ["18180:80"], networks: [one]}
  peer: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, networks: [one]}
  stranger: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, networks: [two]}
networks:
  one: {enable_ipv6: true}
  two: {}
"""
OUTSIDE = "198.18.0.2"
HOST = "198.18.0.1"


def run(*command):
    return subprocess.run(command, text=True, capture_output=True)


class NeighboursTest(DaemonTest):
    def setUp(self):
        enter_own_network()  # each its own: what neighbours leave behind goes with it
        self.neighbours = Neighbours()
        self.addCleanup(self.neighbours.close)
        super().setUp()
        self.outside = self.instance + "x"
        run("ip", "netns", "add", self.outside)
        self.addCleanup(run, "ip", "netns", "del", self.outside)
        for where in (), ("ip", "netns", "exec", self.outside):
            run(*where, "sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad")
        for command in (f"ip link add out0 type veth peer name eth0 netns {self.outside}",
                        f"ip addr add {HOST}/24 dev out0", "ip -6 addr add fd99::1/64 dev out0 nodad", "ip link set out0 up",
                        f"ip -n {self.outside} addr add {OUTSIDE}/24 dev eth0", f"ip -n {self.outside} -6 addr add fd99::2/64 dev eth0 nodad",
                        f"ip -n {self.outside} link set eth0 up", f"ip -n {self.outside} link set lo up",
                        f"ip -n {self.outside} route add default via {HOST}", f"ip -n {self.outside} -6 route add default via fd99::1"):
            done = run(*command.split())
            self.assertEqual(done.returncode, 0, command + done.stderr)
        self.addCleanup(run, "ip", "link", "del", "out0")
        server = subprocess.Popen(["ip", "netns", "exec", self.outside, "busybox", "httpd", "-f", "-p", "80", "-h", "/etc"])
        self.addCleanup(lambda: (server.kill(), server.wait()))

    def from_host(self, url):
        return run("curl", "-sS", "-m", "2", "-o", "/dev/null", url).returncode == 0

    def from_outside(self, url):
        return run("ip", "netns", "exec", self.outside, "curl", "-g", "-sS", "-m", "1", "-o", "/dev/null", url).returncode == 0

    def from_container(self, service, url):
        return self.compose("exec", "-T", service, "timeout", "2", "wget", "-q", "-O", "/dev/null", url,
                            check=False).returncode == 0

    def address(self, service):
        return next(iter(self.container(service)["networks"].values()))

    def up(self):
        self.write(STACK)
        return self.compose("up", "-d").stderr

    def check_ours_passes(self, of):
        """All that does not come from another machine."""
        web, peer = self.address("web"), self.address("peer")
        for name, reached in {
            "the outside": self.from_container("web", f"http://{OUTSIDE}/group"),
            "the outside by IPv6": self.from_container("web", "http://[fd99::2]/group"),
            "a neighbour": self.from_container("web", f"http://{peer}/group"),
            "itself by its published port": self.from_container("web", f"http://{HOST}:18180/group"),
            "another network's published port": self.from_container("stranger", f"http://{HOST}:18180/group"),
            "from the host": self.from_host("http://127.0.0.1:18180/group"),
        }.items():
            self.assertTrue(reached, f"{of}: {name}")
        for name, reached in {
            "another network, directly": self.from_container("stranger", f"http://{web}/group"),
            "from another machine, directly": self.from_outside(f"http://{web}/group"),
        }.items():
            self.assertFalse(reached, f"{of}: {name}")

    def published(self):
        return self.from_outside(f"http://{HOST}:18180/group"), self.from_outside("http://[fd99::1]:18180/group")

    def soon(self, reached, what):
        wait_until(reached, 5, what)

    def test_dockerd(self):
        set_bridge_netfilter("1")
        self.up()
        self.assertTrue(self.from_container("web", f"http://{OUTSIDE}/group"))
        self.neighbours.start_dockerd()
        # It was ours that turned forwarding on, so dockerd leaves the policy; on a host where it came first it drops.
        self.neighbours.run("iptables", "-P", "FORWARD", "DROP")
        self.neighbours.run("ip6tables", "-P", "FORWARD", "DROP")
        set_bridge_netfilter("1")
        shutil.copy(busybox_archive(), self.neighbours.work / "busybox.tar")
        self.neighbours.docker("load", "-i", "/tmp/work/busybox.tar")
        self.neighbours.docker("run", "-d", "--name", "theirs", "-p", "18280:80", "busybox",
                               "sh", "-c", "httpd -p 81 -h /etc; httpd -f -p 80 -h /etc")
        theirs = self.neighbours.docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "theirs").strip()
        self.soon(lambda: self.from_container("web", f"http://{OUTSIDE}/group"), "the outside, beside dockerd")
        self.check_ours_passes("dockerd")
        self.assertEqual(self.published()[0], True, "a published port from another machine")
        self.assertTrue(self.from_container("web", f"http://{HOST}:18280/group"), "theirs by its published port")
        self.assertFalse(self.from_container("web", f"http://{theirs}:81/group"), "theirs, not published")
        self.assertTrue(self.from_host(f"http://{theirs}:81/group"), "which answers")
        # What the administrator closes where dockerd has a place for it stays closed.
        self.neighbours.run("iptables", "-I", "DOCKER-USER", "-d", OUTSIDE, "-j", "DROP")
        self.assertFalse(self.from_container("web", f"http://{OUTSIDE}/group"), "what DOCKER-USER drops")
        self.assertIn("composed:" + self.instance, self.neighbours.run("iptables", "-S", "FORWARD"), "iptables reads our rule")
        self.neighbours.docker("rm", "-f", "theirs")

    def test_ufw(self):
        self.neighbours.run("ufw", "--force", "enable")
        told = self.up()
        self.assertIn("ufw keeps other machines from port 80/tcp; to let them in: ufw route allow proto tcp from any to any port 80", told)
        self.check_ours_passes("ufw")
        self.assertEqual(self.published(), (False, False), "closed by ufw")
        self.neighbours.run("ufw", "route", "allow", "proto", "tcp", "from", "any", "to", "any", "port", "80")
        self.soon(lambda: self.published()[0], "what ufw has opened")
        self.check_ours_passes("ufw with a rule")
        self.neighbours.run("ufw", "route", "deny", "out", "on", "out0", "to", OUTSIDE)
        self.neighbours.run("ufw", "reload")
        self.soon(lambda: self.from_container("web", f"http://{HOST}:18180/group"), "ufw to be back")
        self.assertFalse(self.from_container("stranger", f"http://{OUTSIDE}:79/"), "what ufw denies")
        self.neighbours.run("ufw", "--force", "reset")
        self.neighbours.run("ufw", "default", "reject", "routed")
        self.neighbours.run("ufw", "--force", "enable")
        self.soon(lambda: self.from_container("web", f"http://{OUTSIDE}/group"), "the outside, where ufw rejects")
        self.check_ours_passes("ufw that rejects")

    def test_firewalld(self):
        self.up()
        self.neighbours.start_firewalld()
        self.soon(lambda: self.from_container("web", f"http://{OUTSIDE}/group"), "the outside, beside firewalld")
        self.check_ours_passes("firewalld")
        self.assertTrue(self.published()[0], "firewalld lets translated packets in")
        self.neighbours.run("firewall-cmd", "--reload")
        self.soon(lambda: self.from_container("web", f"http://{OUTSIDE}/group"), "the outside, after a reload")
        self.check_ours_passes("firewalld, reloaded")

    def test_a_reloaded_nftables_conf(self):
        rules = self.folder / "nftables.conf"
        rules.write_text("flush ruleset\ntable inet filter {\n chain input { type filter hook input priority filter; }\n"
                         " chain forward { type filter hook forward priority filter; policy drop; ct state established,related accept;\n"
                         f"  ip daddr {OUTSIDE} tcp dport 79 drop; }}\n}}\n")
        self.up()
        for round in "first", "second":
            subprocess.run(["nft", "-f", rules], check=True)
            self.soon(lambda: self.from_container("web", f"http://{OUTSIDE}/group"), f"the outside, after the {round} load")
            self.check_ours_passes(f"nftables.conf, {round} load")
        self.assertEqual(self.published(), (False, False), "the policy is the administrator's")
        self.write(STACK.replace("peer:", "more:"))
        told = self.compose("up", "-d", "--remove-orphans").stderr
        opening = "nft insert rule inet filter forward ct status dnat accept"
        self.assertIn(opening, told)
        subprocess.run(opening.split(), check=True)
        self.assertEqual(self.published(), (True, True), "opened as the message says")
        # Rules that only reject at their end close as well.
        rules.write_text(rules.read_text().replace("policy drop;", "policy accept;").replace("dport 79 drop;", "dport 79 drop; counter reject;"))
        subprocess.run(["nft", "-f", rules], check=True)
        self.write(STACK)
        self.compose("up", "-d", "--remove-orphans")
        self.soon(lambda: self.from_container("web", f"http://{OUTSIDE}/group"), "the outside, where a rule rejects")
        self.check_ours_passes("nftables.conf that rejects")

    def test_our_rules_go_with_us_where_nothing_is_closed(self):
        self.up()
        listed = run("nft", "list", "ruleset").stdout
        self.assertEqual(listed.count("table "), 2, "ours alone: " + listed)


if __name__ == "__main__":
    make_root()  # while there is a way to Debian's packages
    unittest.main()
