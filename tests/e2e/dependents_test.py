"""Dependencies at run time: what depends with `restart: true`, or lives on another's network, begins anew with it."""
import contextlib
import os
import signal
import subprocess
import threading
import time
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
        self.assertIn('its network is that of service "vpn", which does not run; start that first', refused.stderr)

    def test_a_guest_of_another_stack_follows(self):
        (self.project / "vpn.yaml").write_text(f"name: vpn\nservices:\n  vpn: {{{SLEEP}, container_name: tunnel, restart: always}}\n")
        (self.project / "guest.yaml").write_text(f"name: guest\nservices:\n  app: {{{SLEEP}, network_mode: 'container:tunnel'}}\n")
        self.compose("-f", "vpn.yaml", "up", "-d")
        self.compose("-f", "guest.yaml", "up", "-d")

        def together():
            with contextlib.suppress(OSError):  # one ends at this moment
                spaces = [os.readlink(f"/proc/{each['pid']}/ns/net") for each in self.containers() if each["state"] == "running"]
                return len(spaces) == 2 and len(set(spaces)) == 1

        self.assertTrue(together())
        self.kill("vpn")
        wait_until(together, 10, "the guest to follow a restart")
        self.compose("-f", "vpn.yaml", "restart", "-t", "0")
        wait_until(together, 10, "the guest to follow a restart by hand")
        self.compose("-f", "vpn.yaml", "up", "-d", "--force-recreate", "-t", "0")
        wait_until(together, 10, "the guest to follow what was made anew")
        self.assertIn("whose network it has, has begun anew", self.compose("-p", "guest", "ps").stderr + self.compose("-p", "guest", "ps").stdout)
        owner = self.container("vpn")["pid"]
        self.stop_daemon(signal.SIGKILL)
        os.kill(owner, signal.SIGKILL)
        time.sleep(0.3)
        self.start_daemon()
        wait_until(together, 10, "the guest to follow what has happened without a daemon")
        before = self.started()
        self.stop_daemon()
        self.start_daemon()
        time.sleep(0.5)
        self.assertEqual(self.started(), before, "who is where he belongs stays")

    def test_what_follows_a_restart_does_so_though_the_daemon_ends_meanwhile(self):
        self.write(SHARED % 1)
        self.compose("up", "-d")
        for pause in 0.02, 0.12, 0.18, 0.22:  # while its restart waits, while it is started, while the others begin anew
            with self.subTest(pause=pause):
                self.compose("restart", "-t", "0")  # the delays begin anew
                before = self.started()
                self.kill("vpn")
                time.sleep(pause)
                self.stop_daemon(signal.SIGKILL)
                self.start_daemon()
                self.expect_new(before, ["vpn", "app", "side"])
                wait_until(self.reaches, 5, "the page")
        after = self.started()
        self.stop_daemon()
        self.start_daemon()
        time.sleep(0.5)
        self.assertEqual(self.started(), after, "what has followed once does not follow again")

    def test_a_restart_is_brought_to_its_end_by_the_next_daemon(self):
        deaf = "image: busybox, command: [sh, -c, 'trap \"sleep 0.7; exit 0\" TERM; while :; do sleep 0.05; done']"
        self.write(f"name: again\nservices:\n  web: {{{deaf}}}\n  db: {{{deaf}, restart: on-failure}}\n")
        self.compose("up", "-d")
        before = self.started()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.compose("restart", timeout=0.3)
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        self.expect_new(before, ["web", "db"])

    def test_what_follows_a_restart_does_so_though_somebody_takes_over_meanwhile(self):
        well = self.folder / "well"
        well.write_text("")
        self.write(f"""name: chain
services:
  db: {{{SLEEP}, restart: always, volumes: ['{self.folder}:/s'], healthcheck: {{test: test -f /s/well, interval: 100ms, retries: 1000}}}}
  api: {{{SLEEP}, depends_on: {{db: {{condition: service_healthy, restart: true}}}}}}
""")
        self.compose("up", "-d")
        before = self.started()
        well.unlink()
        self.kill("db")
        wait_until(lambda: "so api follow" in (self.folder / "log").read_text(), 5, "the restart of db")
        second = threading.Thread(target=lambda: self.compose("up", "-d"))  # the same definition: nothing to do
        second.start()
        second.join()
        well.write_text("")
        self.expect_new(before, ["db", "api"])

    def test_ports_go_to_whose_network_it_is(self):
        self.write(f"name: p\nservices:\n  vpn: {{{SLEEP}}}\n  app: {{{SLEEP}, network_mode: 'service:vpn', ports: ['80']}}\n")
        refused = self.compose("up", "-d", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("publish them at service:vpn", refused.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
