"""What runs after the host came back, and what goes on after the daemon alone did."""
import contextlib
import os
import pathlib
import shutil
import signal
import time
import unittest

from harness import DaemonTest, wait_until

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
