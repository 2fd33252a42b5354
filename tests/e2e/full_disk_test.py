"""A full disk under the daemon's state: what runs goes on, what cannot be written down is refused with the reason, and when there is space again
everything goes on by itself."""
import os
import signal
import subprocess
import time
import unittest

from harness import DaemonTest, wait_until

STACK = """name: full
services:
  web: {image: busybox, init: true, command: sleep 1000, restart: always, environment: {ROUND: '%d'}}
  talks: {image: busybox, init: true, command: sh -c 'while :; do echo a line; sleep 0.01; done', restart: always}
"""


class FullDiskTest(DaemonTest):
    def start_daemon(self):
        if not self.state.exists():
            self.state.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", self.state], check=True)
        super().start_daemon()

    def clean_up(self):
        try:
            self.compose("-p", "full", "down", "-t", "0", check=False)
            self.stop_daemon()
        finally:
            subprocess.run(["umount", self.state], check=True)
        super().clean_up()

    def fill(self):
        with open(self.state / "of another program", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass
        self.assertEqual(os.statvfs(self.state).f_bavail, 0)

    def test_nothing_is_lost(self):
        self.write(STACK % 1)
        self.compose("up", "-d")
        talks = self.container("talks")
        self.fill()
        self.write(STACK % 2)
        refused = self.compose("up", "-d", "-t", "0", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("is full; free space on its disk", refused.stderr)
        self.assertNotIn("Stopping", refused.stderr)

        # One that dies meanwhile cannot be started, as that could not be written down; it is tried again.
        os.kill(self.container("web")["pid"], signal.SIGKILL)
        wait_until(lambda: "is full" in self.container("web").get("error", ""), 5, "ps to tell why")
        self.assertIsNone(self.daemon.poll())
        again = self.container("talks")
        self.assertEqual((again["state"], again["pid"]), ("running", talks["pid"]))
        switches = self.switches(talks["pid"])
        wait_until(lambda: self.switches(talks["pid"]) > switches + 10, 5, "the container with the log to go on")

        (self.state / "of another program").unlink()
        self.wait_for_state("web", "running")
        self.compose("up", "-d", "-t", "0")
        self.assertEqual(self.compose("exec", "-T", "web", "sh", "-c", "echo $ROUND").stdout, "2\n")
        time.sleep(0.1)
        self.assertIn("a line", self.compose("logs", "--since", "1s", "talks").stdout)
        self.assertEqual(self.container("talks")["pid"], talks["pid"])

    @staticmethod
    def switches(pid):
        """How often the container's first process has had the processor."""
        children = subprocess.run(["pgrep", "-P", str(pid)], text=True, capture_output=True).stdout.split()
        with open(f"/proc/{(children or [pid])[0]}/status", encoding="ascii") as status:
            return sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)


if __name__ == "__main__":
    unittest.main(verbosity=2)
