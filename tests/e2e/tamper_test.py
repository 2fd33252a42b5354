"""What others do to what is the engine's: it is put right, and nothing is stuck."""
import os
import subprocess
import unittest
import urllib.request

from harness import BIN, DaemonTest, wait_until

STACK = """name: tamper
services:
  web: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, ports: ['127.0.0.1:18166:80'], restart: always}
  other: {image: busybox, init: true, command: sleep 1000}
"""


class TamperTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.write(STACK)
        self.compose("up", "-d")

    def serves(self):
        """By its published port and, to another container, by its name."""
        try:
            page = urllib.request.urlopen("http://127.0.0.1:18166/passwd", timeout=2).read()
        except OSError:
            return False
        inside = self.compose("exec", "-T", "other", "timeout", "2", "wget", "-qO-", "http://web/passwd", check=False).stdout
        return b"root" in page and "root" in inside

    def delete_table(self):
        subprocess.run(["nft", "delete", "table", "ip", self.instance], check=True)

    def test_containers_end_and_start_when_the_table_is_gone(self):
        wait_until(self.serves, 5, "the page")
        self.delete_table()
        self.compose("restart", "-t", "0", "web")
        wait_until(self.serves, 5, "the page after a restart")
        self.delete_table()
        self.compose("exec", "-T", "web", "killall", "httpd")
        wait_until(lambda: self.container("web")["restart_count"] == 1, 10, "the restart by the policy")
        wait_until(self.serves, 5, "the page after a restart by the policy")
        self.delete_table()
        self.compose("down", "-t", "0")
        self.assertEqual(self.containers(), [])

    def test_a_deleted_bridge_is_made_again(self):
        [bridge] = [link for link in os.listdir("/sys/class/net") if link.startswith(f"b{self.tag()}-")]
        subprocess.run(["ip", "link", "del", bridge], check=True)
        self.compose("up", "-d", "--force-recreate")
        wait_until(self.serves, 5, "the page")

    def test_a_second_daemon_beside_this_one_is_refused_before_it_does_harm(self):
        other = self.folder / "other"
        for arguments in (["--instance", self.instance + "y", "--run", self.run_folder], ["--instance", self.instance, "--run", other]):
            done = subprocess.run([BIN / "composed", *arguments, "--state", other, "--config", "/dev/null"], text=True,
                                  capture_output=True, timeout=10)
            self.assertEqual(done.returncode, 1)
            self.assertIn("another composed uses it", done.stderr)
        wait_until(self.serves, 5, "the page")
        self.assertEqual(self.container("web")["restart_count"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
