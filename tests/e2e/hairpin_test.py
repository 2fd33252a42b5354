"""A container reaches a published port from inside: its own and a neighbour's, whether bridged packets pass the firewall or not."""
import itertools
import re
import unittest

from harness import DaemonTest, enter_own_network, set_bridge_netfilter
from shop_test import free_port


class HairpinTest(DaemonTest):
    def test_published_ports_are_reached_from_inside(self):
        port, of_both = free_port(), free_port()
        self.write(f"""name: hairpin
services:
  web:
    image: busybox
    init: true
    command: sh -c 'echo page > /tmp/index.html; exec httpd -f -p 80 -h /tmp'
    ports: ["{port}:80"]
  both:
    image: busybox
    init: true
    command: sh -c 'echo both > /tmp/index.html; exec httpd -f -p 80 -h /tmp'
    ports: ["{of_both}:80"]
    networks: {{default: {{gw_priority: 1}}, elsewhere: }}
  neighbour: {{image: busybox, init: true, command: sleep 1000}}
  other: {{image: busybox, init: true, command: sleep 1000, networks: [elsewhere]}}
networks: {{elsewhere: }}
""")
        self.compose("up", "-d")
        for service, bridged in itertools.product(("web", "neighbour", "other", "both"), "01"):
            set_bridge_netfilter(bridged)
            routes = self.compose("exec", "-T", service, "ip", "route").stdout
            gateway = re.search(r"^default via (\S+)", routes, re.MULTILINE)[1]
            # `both` has the asker's own network, too, and another way to answer it than the one that the question came by.
            for to, page in ((port, "page\n"), (of_both, "both\n")):
                fetched = self.compose("exec", "-T", service, "timeout", "5", "wget", "-qO-", f"http://{gateway}:{to}/",
                                       check=False, timeout=10)
                self.assertEqual(fetched.stdout, page, f"from {service}, br_netfilter {bridged}")


if __name__ == "__main__":
    enter_own_network()
    unittest.main()
