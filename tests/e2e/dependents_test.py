"""Dependencies at run time: what depends with `restart: true`, or lives on another's network, begins anew with it."""
import os
import signal
import unittest

from harness import DaemonTest, wait_until

SLEEP = "image: busybox, init: true, command: sleep 1000"
CHAIN = f"""name: chain
services:
  db: {{{SLEEP}, restart: always, healthcheck: {{test: 'true', interval: 100ms}}}}
  api: {{{SLEEP}, depends_on: {{db: {{condition: service_healthy, restart: true}}}}}}
  web: {{{SLEEP}, depends_on: {{api: {{condition: service_started, restart: true}}}}}}
  other: {{{SLEEP}, depends_on: [db]}}
"""
SHARED = f"""name: shared
services:
  vpn: {{{SLEEP}, restart: always, ports: ['127.0.0.1:18173:80'], environment: {{ROUND: '%s'}}}}
  app: {{image: busybox, init: true, command: httpd -f -p 80 -h /etc, network_mode: 'service:vpn', restart: always}}
  side: {{{SLEEP}, network_mode: 'container:shared-vpn-1', depends_on: {{vpn: {{condition: service_started, restart: true}}}}}}
  peer: {{{SLEEP}}}
"""


class DependentsTest(DaemonTest):
    def started(self):
        return {each["service"]: each.get("started") for each in self.containers() if each["state"] == "running"}

    def expect_new(self, before, services, seconds=10):
        """Exactly these have begun anew, and all run."""
        def anew():
            now = self.started()
            return len(now) == len(before) and {name for name in now if now[name] != before[name]} >= set(services)
        wait_until(anew, seconds, f"{services} to begin anew")
        self.assertEqual({name for name, when in self.started().items() if when != before[name]}, set(services))

    def kill(self, service):
        os.kill(self.container(service)["pid"], signal.SIGKILL)

    def test_a_dependency_that_restarts_by_itself_takes_its_dependents_along(self):
        self.write(CHAIN)
        self.compose("up", "-d")
        before = self.started()
        self.kill("db")
        self.expect_new(before, ["db", "api", "web"])
        now = self.started()
        self.assertLess(now["db"], now["api"])
        self.assertLess(now["api"], now["web"])

    def test_restart_and_recreation_take_them_along_too(self):
        self.write(CHAIN)
        self.compose("up", "-d")
        before = self.started()
        self.compose("restart", "-t", "0", "db")
        self.expect_new(before, ["db", "api", "web"])
        before = self.started()
        self.compose("restart", "-t", "0", "--no-deps", "db")
        self.expect_new(before, ["db"])
        self.write(CHAIN.replace("'true'", "': '"))
        before = self.started()
        said = self.compose("up", "-d", "-t", "0").stderr
        self.expect_new(before, ["db", "api", "web"])
        self.assertNotIn("chain-other-1  Stopp", said)

    def test_who_was_stopped_by_hand_stays_so(self):
        self.write(CHAIN)
        self.compose("up", "-d")
        self.compose("stop", "-t", "0", "web")
        before = self.started()
        self.kill("db")
        self.expect_new(before, ["db", "api"])

    def reaches(self):
        """The page by the port of the one whose network it is on; names of others from there."""
        page = self.compose("exec", "-T", "peer", "timeout", "1", "wget", "-qO-", "http://vpn/passwd", check=False).stdout
        name = self.compose("exec", "-T", "app", "timeout", "1", "nslookup", "peer", check=False).returncode
        return "root" in page and name == 0

    def test_one_network_for_several_containers(self):
        self.write(SHARED % 1)
        self.compose("up", "-d")
        wait_until(self.reaches, 5, "the page")
        inside = [self.compose("exec", "-T", service, "ip", "-o", "-4", "address").stdout for service in ("vpn", "app", "side")]
        self.assertIn("eth0", inside[0])
        self.assertEqual(inside[0], inside[1])
        self.assertEqual(inside[0], inside[2])
        before = self.started()
        self.kill("vpn")
        self.expect_new(before, ["vpn", "app", "side"])
        wait_until(self.reaches, 5, "the page after the network's own container has restarted")
        before = self.started()
        self.write(SHARED % 2)
        self.compose("up", "-d", "-t", "0")
        self.expect_new(before, ["vpn", "app", "side"])
        wait_until(self.reaches, 5, "the page after the network's own container was made anew")
        # Stopped and started by hand, the others being left alone: they would go on with what nobody reaches any more.
        for end in ("stop", "-t", "0", "vpn"), ("kill", "vpn"):
            self.compose(*end)
            before = self.started()
            self.compose("start", "vpn")
            wait_until(lambda: len(self.started()) == 4, 10, "all to run")
            self.assertEqual({name for name, when in self.started().items() if when != before.get(name)}, {"vpn", "app", "side"})
            wait_until(self.reaches, 5, "the page after the network's own container was started again")
        self.compose("stop", "-t", "0")
        refused = self.compose("start", "app", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn('it is on the network of service "vpn", which does not run; start that first', refused.stderr)

    def test_ports_go_to_whose_network_it_is(self):
        self.write(f"name: p\nservices:\n  vpn: {{{SLEEP}}}\n  app: {{{SLEEP}, network_mode: 'service:vpn', ports: ['80']}}\n")
        refused = self.compose("up", "-d", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("publish them at service:vpn", refused.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
