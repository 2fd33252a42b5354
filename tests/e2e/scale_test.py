"""Many of everything: it works, and costs grow no faster than numbers. All of it happens in a network namespace of the test's own."""
import contextlib
import json
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from harness import BIN, DaemonTest, enter_own_network, wait_until


def seconds(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


class ScaleTest(DaemonTest):
    def links(self, *arguments):
        # Not /sys/class/net: that is of the network namespace in which /sys was mounted.
        return json.loads(subprocess.run(["ip", "-j", "link", "show", *arguments], capture_output=True, text=True, check=True).stdout or "[]")

    def bridges(self):
        return [link["ifname"] for link in self.links("type", "bridge") if link]

    def up_and_down_of_networks(self, number):
        names = [f"n{index}" for index in range(number)]
        self.write(f"name: nets{number}\nservices:\n  one: {{image: busybox, init: true, command: sleep 1000, stop_grace_period: 0s, "
                   f"networks: [{', '.join(names)}]}}\nnetworks: {{{', '.join(f'{name}: {{}}' for name in names)}}}\n")
        up = seconds(lambda: self.compose("up", "-d", timeout=300))
        self.assertEqual(len(self.bridges()), number)
        self.assertEqual(self.compose("exec", "-T", "one", "sh", "-c", "grep -c eth /proc/net/dev").stdout.strip(), str(number))
        down = seconds(lambda: self.compose("down", timeout=300))
        # The kernel takes 40 ms for each, with the machine's lock of all interfaces in its hands: nobody waits for it.
        wait_until(lambda: not self.bridges(), 60, "the bridges to be gone")
        print(f"{number} networks: up {up:.2f} s, down {down:.2f} s", flush=True)
        return up, down

    def test_networks(self):
        few, many = 125, 500
        small = self.up_and_down_of_networks(few)
        large = self.up_and_down_of_networks(many)
        for one, other, what in zip(small, large, ("up", "down")):
            # Twice as much as their number is what noise and cold caches may do; a square would be four times.
            self.assertLess(other, 2.5 * many / few * one, what)

    def lookups(self, name):
        """Seconds that a lookup takes."""
        rate, _ = self.compose("exec", "-T", "asks", "/traffic", "lookup", "127.0.0.11", name, "4000").stdout.split()
        return 1 / float(rate)

    def test_containers_on_one_bridge(self):
        number = 1000
        self.write(f"name: crowd\nservices:\n  many: {{image: busybox, init: true, command: sleep 10000, scale: {number}, stop_grace_period: 0s}}\n"
                   f"  asks: {{image: busybox, init: true, command: sleep 10000, stop_grace_period: 0s, volumes: ['{BIN}/traffic:/traffic:ro']}}\n"
                   "networks: {default: {ipam: {config: [{subnet: 10.64.0.0/21}]}}}\n")
        self.compose("up", "-d", "--scale", "many=10")
        asked_few = self.lookups("asks")
        up = seconds(lambda: self.compose("up", "-d", timeout=600))
        bridge, = self.bridges()
        self.assertEqual(len(self.links("master", bridge)), number + 1)
        addresses = {each for container in self.api("/containers") for each in container["networks"].values()}
        self.assertEqual(len(addresses), number + 1, "each has an address of its own")
        last = self.compose("exec", "-T", "asks", "nslookup", f"crowd-many-{number}").stdout
        self.assertIn("Address", last.split("Name:")[1])
        self.compose("exec", "-T", "asks", "ping", "-c", "1", "-W", "5", f"crowd-many-{number}")
        asked_many = self.lookups("asks")
        self.assertLess(asked_many, 3 * asked_few, "a question costs the same among many")
        again = seconds(lambda: self.compose("up", "-d", timeout=60))
        listed = seconds(lambda: self.compose("ps", "-q", timeout=60))
        down = seconds(lambda: self.compose("down", timeout=600))
        print(f"{number} containers on one bridge: up {up:.1f} s, again {again:.2f} s, ps {listed:.2f} s, down {down:.1f} s, "
              f"a lookup {asked_many * 1e6:.0f} µs (among ten {asked_few * 1e6:.0f})", flush=True)

    def test_ports_and_aliases(self):
        self.write("name: wide\nservices:\n"
                   "  web: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, stop_grace_period: 0s, ports: ['127.0.0.1:20000-20199:80'],\n"
                   f"    networks: {{lan: {{aliases: [{', '.join(f'alias-{index}' for index in range(100))}]}}}}}}\n"
                   "  asks: {image: busybox, init: true, command: sleep 1000, stop_grace_period: 0s, networks: [lan]}\n"
                   "networks: {lan: {}}\n".replace("'127.0.0.1:20000-20199:80'", ", ".join(f"'127.0.0.1:{port}:80'" for port in range(20000, 20200))))
        up = seconds(lambda: self.compose("up", "-d"))

        def page(port):
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/passwd", timeout=2).read()

        def listens():
            with contextlib.suppress(urllib.error.URLError):
                return page(20000)

        wait_until(listens, 10, "the server to listen")
        for port in range(20000, 20200):
            self.assertIn(b"root", page(port), port)
        web = next(iter(self.container("web")["networks"].values()))
        asked = self.compose("exec", "-T", "asks", "sh", "-c", "for i in $(seq 0 99); do nslookup -type=a alias-$i; done").stdout
        self.assertEqual(asked.count(web), 100)
        print(f"200 published ports and 100 aliases: up {up:.2f} s", flush=True)


if __name__ == "__main__":
    enter_own_network()
    unittest.main(verbosity=2)
