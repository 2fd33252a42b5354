"""A container reaches a published port from inside: its own and a neighbour's, whether bridged packets pass the firewall or not."""
import pathlib
import re
import unittest

from harness import DaemonTest
from shop_test import free_port

BRIDGED = pathlib.Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


class HairpinTest(DaemonTest):
    def test_published_ports_are_reached_from_inside(self):
        port = free_port()
        self.write(f"""name: hairpin
services:
  web:
    image: busybox
    init: true
    command: sh -c 'echo page > /tmp/index.html; exec httpd -f -p 80 -h /tmp'
    ports: ["{port}:80"]
  neighbour: {{image: busybox, init: true, command: sleep 1000}}
  other: {{image: busybox, init: true, command: sleep 1000, networks: [elsewhere]}}
networks: {{elsewhere: }}
""")
        self.compose("up", "-d")
        for service in ("web", "neighbour", "other"):
            routes = self.compose("exec", "-T", service, "ip", "route").stdout
            gateway = re.search(r"^default via (\S+)", routes, re.MULTILINE)[1]
            fetched = self.compose("exec", "-T", service, "wget", "-qO-", f"http://{gateway}:{port}/",
                                   check=False, timeout=10)
            bridged = BRIDGED.read_text().strip() if BRIDGED.exists() else "absent"
            self.assertEqual(fetched.stdout, "page\n", f"from {service}, br_netfilter {bridged}")


if __name__ == "__main__":
    unittest.main()
