"""What runs after the host came back, and what goes on after the daemon alone did."""
import contextlib
import datetime
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from harness import DaemonTest, busybox_archive, serve_registry, wait_until

SLEEP = "image: busybox, init: true, command: sleep 1000"


class BootTest(DaemonTest):
    def power_cut(self):
        """Nothing of it is left but what is on disk, and the kernel is another one when it comes back."""
        self.stop_daemon(signal.SIGKILL)
        for pid, _ in list(self.processes()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until(lambda: not list(self.processes()), 10, "all processes to be gone")
        shutil.rmtree(self.run_folder, ignore_errors=True)
        wait_until(self.no_cgroup_is_left, 10, "the cgroups to be gone")
        boot = self.folder / "boot_id"
        boot.write_text("11111111-2222-3333-4444-555555555555\n")
        self.files = {"/proc/sys/kernel/random/boot_id": boot}
        self.start_daemon()

    def no_cgroup_is_left(self):
        """A cgroup can be removed only some time after the last process in it has ended."""
        left = list(pathlib.Path("/sys/fs/cgroup").glob(f"*/{self.instance}/*/"))
        for folder in left:
            with contextlib.suppress(OSError):
                folder.rmdir()
        return not left

    def test_the_restart_policy_decides_what_comes_back(self):
        policies = {"never": '"no"', "failing": "on-failure", "always": "always", "unless": "unless-stopped",
                    "always-stopped": "always", "unless-stopped": "unless-stopped"}
        self.write("name: b\nservices:\n" + "".join(f"  {name}: {{{SLEEP}, restart: {policy}}}\n" for name, policy in policies.items())
                   + "  ended: {image: busybox, command: 'true', restart: on-failure}\n")
        self.compose("up", "-d")
        self.compose("stop", "-t", "0", "always-stopped", "unless-stopped")
        self.wait_for_state("ended", "exited")
        self.power_cut()
        for service in "failing", "always", "unless", "always-stopped":
            self.wait_for_state(service, "running")
        for service in "never", "unless-stopped", "ended":
            self.assertEqual(self.container(service)["state"], "exited", service)
        self.assertEqual(self.container("never")["exit_code"], 255)

    def test_nothing_is_pulled(self):
        """Not even where the policy pulls at each `up`: who boots may have no network yet."""
        storage = pathlib.Path(tempfile.mkdtemp(prefix="composed-registry-"))
        self.addCleanup(shutil.rmtree, storage, True)
        registry, stop = serve_registry(storage / "data", storage)
        try:
            subprocess.run(["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false",
                            f"docker-archive:{busybox_archive()}", f"docker://{registry}/small:1"], check=True)
            self.write(f"name: b\nservices:\n  web: {{image: '{registry}/small:1', pull_policy: always, init: true, command: sleep 1000, restart: always}}\n")
            self.compose("up", "-d")
        finally:
            stop()
        host, port = registry.split(":")
        with socket.create_server((host, int(port))) as listener:
            self.power_cut()
            self.wait_for_state("web", "running")
            time.sleep(0.3)
            listener.settimeout(0)
            self.assertRaises(BlockingIOError, listener.accept)

    def test_what_is_independent_comes_up_at_the_same_time(self):
        slow = ("image: busybox, init: true, restart: always, command: [sh, -c, 'rm -f /ready; sleep 2; touch /ready; sleep 1000'], "
                "healthcheck: {test: test -e /ready, interval: 50ms, retries: 1000}")
        for stack in "one", "two":
            self.write(f"name: {stack}\nservices:\n" + "".join(
                f"  {name}: {{{slow}}}\n  after-{name}: {{{SLEEP}, restart: always, depends_on: {{{name}: {{condition: service_healthy}}}}}}\n"
                for name in ("x", "y")))
            self.compose("up", "-d")
        before = len(self.api("/containers"))
        self.power_cut()

        def up():
            found = self.api("/containers")
            return found if len(found) == before and all(each["state"] == "running" for each in found) else None

        started = {f"{each['project']} {each['service']}": datetime.datetime.fromisoformat(each["started"][:26])
                   for each in wait_until(up, 15, "both stacks")}
        last = [moment for name, moment in started.items() if "after" in name]
        self.assertEqual(len(last), 4)
        self.assertLess((max(last) - min(last)).total_seconds(), 1.5)  # one after the other would be 6 s
        self.assertGreater((min(last) - started["one x"]).total_seconds(), 1.9)

    def test_a_disk_that_comes_late_is_waited_for_and_nothing_is_made_in_its_place(self):
        disk, away = self.folder / "disk", self.folder / "away"
        (disk / "data").mkdir(parents=True)
        self.write(f"""name: b
services:
  db: {{{SLEEP}, restart: always, volumes: ['{disk}/data:/data']}}
  web: {{{SLEEP}, restart: always, depends_on: [db]}}
  other: {{{SLEEP}, restart: unless-stopped}}
""")
        self.compose("up", "-d")
        disk.rename(away)
        self.power_cut()
        self.wait_for_state("other", "running")
        waiting = self.wait_for_state("db", "restarting")
        self.assertIn("has disappeared; make it, or mount its disk", waiting["error"])
        self.assertIn("has disappeared", self.compose("ps").stdout)
        self.assertEqual(self.container("web")["state"], "exited")
        self.assertFalse(disk.exists())
        away.rename(disk)
        self.wait_for_state("db", "running")
        self.wait_for_state("web", "running")

    def test_a_dependency_that_is_ill_after_the_boot_is_waited_for(self):
        well = self.folder / "well"
        well.write_text("")
        health = "healthcheck: {test: test -f /s/well, interval: 100ms, retries: 2}"
        self.write(f"""name: b
services:
  db: {{{SLEEP}, restart: always, volumes: ['{self.folder}:/s'], {health}}}
  web: {{{SLEEP}, restart: always, depends_on: {{db: {{condition: service_healthy}}}}}}
  other: {{image: busybox, command: 'true'}}
""")
        self.compose("up", "-d")
        well.unlink()
        self.power_cut()
        wait_until(lambda: self.container("db").get("health") == "unhealthy", 10, "db to be unhealthy")
        self.compose("rm", "-f", "other")  # is not held up
        wait_until(lambda: "problem: container b-web-1 is to run and waits for what it depends on (db)" in self.compose("ps").stderr, 5,
                   "ps to tell what waits")
        self.assertIn("unhealthy", (self.folder / "log").read_text())
        time.sleep(0.3)
        well.write_text("")
        self.wait_for_state("web", "running")

    def test_a_stop_ends_the_waiting_for_a_disk(self):
        disk = self.folder / "disk"
        disk.mkdir()
        self.write(f"name: b\nservices:\n  db: {{{SLEEP}, restart: always, volumes: ['{disk}:/data']}}\n")
        self.compose("up", "-d")
        disk.rmdir()
        self.power_cut()
        self.wait_for_state("db", "restarting")
        self.compose("stop")
        self.assertEqual(self.container("db")["state"], "exited")
        disk.mkdir()
        self.compose("start")
        self.wait_for_state("db", "running")

    def test_a_mount_that_is_missing_is_no_empty_folder(self):
        disk = self.folder / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], check=True)
        try:
            self.write(f"name: b\nservices:\n  db: {{{SLEEP}, restart: always, volumes: ['{disk}:/data']}}\n")
            self.compose("up", "-d")
            self.compose("down", "-t", "0")
            self.compose("up", "-d")
        finally:
            subprocess.run(["umount", disk], check=True)
        self.power_cut()
        waiting = self.wait_for_state("db", "restarting")
        self.assertIn("is not mounted", waiting["error"])

    def test_a_loop_goes_on_where_it_was_when_the_daemon_ends(self):
        self.write("name: b\nservices:\n  loop: {image: busybox, command: 'false', restart: always}\n")
        self.compose("up", "-d")
        wait_until(lambda: self.container("loop")["restart_count"] >= 4, 10, "four restarts")
        before = self.container("loop")["restart_count"]
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        time.sleep(0.5)
        self.assertGreaterEqual(self.container("loop")["restart_count"], before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
