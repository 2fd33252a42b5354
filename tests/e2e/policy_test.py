"""Restart policies over the whole life: every end a container can meet × every policy, a cell each."""
import os
import pathlib
import signal
import time
import unittest

from harness import DaemonTest, wait_until

POLICIES = {"no": '"no"', "on-failure": "on-failure", "on-failure-3": "on-failure:3", "always": "always",
            "unless-stopped": "unless-stopped"}
FAILURES = ("on-failure", "on-failure-3", "always", "unless-stopped")  # what comes back after a failure
# Ends with the code that is written to /go; again and again, as the file stays.
ENDS = """image: busybox, init: true, command: 'sh -c "until [ -e /go ]; do sleep 0.05; done; exit $$(cat /go)"'"""
SLEEPS = "image: busybox, init: true, command: sleep 1000"


class PolicyTest(DaemonTest):
    def up(self, service):
        self.write("name: policy\nservices:\n" + "".join(f"  {name}: {{{service}, restart: {policy}}}\n" for name, policy in POLICIES.items()))
        self.compose("up", "-d")

    def expect(self, end, comes_back, checks=()):
        """In each cell the container runs again after a restart, or has ended for good."""
        for name in POLICIES:
            with self.subTest(end=end, policy=name):
                if name in comes_back:
                    wait_until(lambda n=name: self.container(n)["restart_count"] >= 1 and self.container(n)["state"] == "running", 10,
                               f"{name} to come back after {end}")
                else:
                    self.wait_for_state(name, "exited")
                    self.assertEqual(self.container(name)["restart_count"], 0)
                for check in checks:
                    check(self.container(name))
        # None of them changes its mind later.
        time.sleep(0.3)
        self.assertEqual({n for n in POLICIES if self.container(n)["state"] != "exited"}, set(comes_back), end)

    def end_with(self, code):
        for name in POLICIES:
            self.compose("exec", "-T", name, "sh", "-c", f"echo {code} >/go")

    def test_exit_0(self):
        self.up(ENDS)
        self.end_with(0)
        for name in POLICIES:
            with self.subTest(policy=name):
                if name in ("always", "unless-stopped"):
                    wait_until(lambda n=name: self.container(n)["restart_count"] >= 2, 10, f"{name} to come back")
                else:
                    self.wait_for_state(name, "exited")
                    self.assertEqual((self.container(name)["restart_count"], self.container(name)["exit_code"]), (0, 0))

    def test_exit_1(self):
        self.up(ENDS)
        self.end_with(1)
        for name in POLICIES:
            with self.subTest(policy=name):
                if name == "no":
                    self.wait_for_state(name, "exited")
                elif name == "on-failure-3":
                    wait_until(lambda: self.container("on-failure-3")["restart_count"] == 3
                               and self.container("on-failure-3")["state"] == "exited", 10, "the last try")
                else:
                    wait_until(lambda n=name: self.container(n)["restart_count"] >= 4, 10, f"{name} to come back")
        self.assertEqual(self.container("no")["restart_count"], 0)
        self.assertEqual((self.container("on-failure-3")["restart_count"], self.container("on-failure-3")["state"]), (3, "exited"))

    def test_killed(self):
        self.up(SLEEPS)
        for name in POLICIES:
            os.kill(self.container(name)["pid"], signal.SIGKILL)
        self.expect("a kill", FAILURES)
        self.assertEqual(self.container("no")["exit_code"], 137)

    def test_out_of_memory(self):
        self.up("image: busybox, init: true, command: 'sh -c \"until [ -e /go ]; do sleep 0.05; done; rm /go; tail /dev/zero\"'")
        ids = {name: self.container(name)["id"] for name in POLICIES}
        for container in ids.values():
            [folder] = [f for f in (pathlib.Path(f"/sys/fs/cgroup/memory/{self.instance}/{container}"),
                                    pathlib.Path(f"/sys/fs/cgroup/{self.instance}/{container}")) if f.exists()]
            for limit in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max"):
                if (folder / limit).exists():
                    (folder / limit).write_text(str(16 << 20))
        self.end_with(0)
        self.expect("an OOM kill", FAILURES, [lambda each: self.assertTrue(each["oom"], each)])

    def test_unhealthy(self):
        ill = f"{SLEEPS}, healthcheck: {{test: 'test ! -e /ill', interval: 50ms, retries: 2}}"
        for wish in ("x-composed: {restart-unhealthy: true}", "labels: {autoheal: 'true'}"):
            with self.subTest(wish):
                self.up(f"{ill}, {wish}")
                for name in POLICIES:
                    self.compose("exec", "-T", name, "touch", "/ill")
                # Whoever writes the wish wants it, whatever the policy says of other ends.
                for name in POLICIES:
                    wait_until(lambda n=name: self.container(n)["restart_count"] >= 1, 10, f"{name} to come back")
                wait_until(lambda: self.container("on-failure-3")["state"] == "exited", 10, "the last try of on-failure:3")
                self.assertEqual(self.container("on-failure-3")["restart_count"], 3)
                self.assertIn("it was unhealthy", self.compose("ps").stderr)
                self.compose("down", "-t", "0")
        self.up(ill)
        for name in POLICIES:
            self.compose("exec", "-T", name, "touch", "/ill")
            wait_until(lambda n=name: self.container(n)["health"] == "unhealthy", 10, "the bad news")
        time.sleep(0.3)
        self.assertEqual({self.container(n)["restart_count"] for n in POLICIES}, {0})

    def test_stopped_by_hand(self):
        self.up(SLEEPS)
        self.compose("stop", "-t", "0")
        self.expect("a stop by hand", ())
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        self.expect("a stop by hand and a crash of the daemon", ())

    def test_the_daemon_is_killed_and_back(self):
        self.up(SLEEPS)
        pids = {name: self.container(name)["pid"] for name in POLICIES}
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        for name in POLICIES:
            with self.subTest(policy=name):
                self.assertEqual((self.container(name)["pid"], self.container(name)["restart_count"]), (pids[name], 0))
        # And what ended meanwhile is judged as if the daemon had seen it.
        self.stop_daemon(signal.SIGKILL)
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
        self.start_daemon()
        self.expect("a kill while the daemon was away", FAILURES)


if __name__ == "__main__":
    unittest.main(verbosity=2)
