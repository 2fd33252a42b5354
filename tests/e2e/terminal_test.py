"""What a person at a terminal sees and does: foreground up, Ctrl-C, a shell inside, live progress."""
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
import unittest

from harness import BIN, PATIENCE, DaemonTest, wait_until

CONTROL_C = b"\x03"


class Terminal:
    """A program whose controlling terminal is ours to type on and to read."""

    def __init__(self, test, *arguments, rows=30, columns=100):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(test.project)
            os.environ["COMPOSED_HOST"] = f"unix://{test.run_folder}/composed.sock"
            os.environ["TERM"] = "xterm"
            time.sleep(0.05)  # until the size is set
            os.execv(BIN / "compose", ["compose", *arguments])
        self.resize(rows, columns)
        self.code = None
        test.addCleanup(self.close)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text if isinstance(text, bytes) else text.encode())

    def read(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            got = os.read(self.fd, 65536)
        except OSError:  # EIO: the last process on it has ended
            return False
        self.text += got.decode(errors="replace").replace("\r\n", "\n")
        return bool(got)

    def wait_for(self, pattern, seconds=10):
        deadline = time.monotonic() + seconds * PATIENCE
        while time.monotonic() < deadline:
            if re.search(pattern, self.text, re.MULTILINE):
                return
            if not self.read(0.1):
                break
        if not re.search(pattern, self.text, re.MULTILINE):
            raise AssertionError(f"{pattern!r} was not seen:\n{self.text}")

    def wait(self, seconds=15):
        """Its exit code, once it has ended."""
        deadline = time.monotonic() + seconds * PATIENCE
        while self.code is None and time.monotonic() < deadline:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                while self.read(0.1) and select.select([self.fd], [], [], 0)[0]:
                    pass
        if self.code is None:
            raise AssertionError(f"did not end; it printed:\n{self.text}")
        return self.code

    def close(self):
        if self.code is None:
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        os.close(self.fd)


class ForegroundTest(DaemonTest):
    def test_logs_are_shown_and_control_c_stops_the_stack(self):
        self.write("""name: front
services:
  a: {image: busybox, init: true, command: ['sh', '-c', 'echo first words; exec sleep 1000']}
  long-name: {image: busybox, init: true, command: ['sh', '-c', 'echo others; exec sleep 1000']}
""")
        up = Terminal(self, "up")
        up.wait_for(r"a-1 +\S*\| .*first words")
        up.wait_for(r"long-name-1 +\S*\| .*others")
        up.type(CONTROL_C)
        up.wait_for("Gracefully Stopping... press Ctrl\\+C again to force")
        self.assertEqual(up.wait(), 130)
        self.assertEqual({each["state"] for each in self.containers()}, {"exited"})

    def test_a_second_control_c_kills_what_does_not_stop(self):
        self.write("""name: stubborn
services:
  a:
    image: busybox
    stop_grace_period: 60s
    command: ['sh', '-c', "trap 'echo not yet' TERM; echo ready; while :; do sleep 0.1; done"]
""")
        up = Terminal(self, "up")
        up.wait_for("ready")
        up.type(CONTROL_C)
        up.wait_for("not yet")
        began = time.monotonic()
        up.type(CONTROL_C)
        self.assertEqual(up.wait(), 130)
        self.assertLess(time.monotonic() - began, 10)
        self.wait_for_state("a", "exited", 2)

    def test_up_ends_when_all_have_ended(self):
        self.write("name: short\nservices:\n  a: {image: busybox, command: echo once}\n  b: {image: busybox, command: sh -c 'exit 3'}\n")
        up = Terminal(self, "up")
        self.assertEqual(up.wait(), 0)
        self.assertRegex(up.text, r"a-1 +\S*\| .*once")
        self.assertRegex(up.text, "b-1 exited with code 3")

    def test_a_daemon_that_goes_away_is_told(self):
        self.write("name: gone\nservices:\n  a: {image: busybox, init: true, command: ['sh', '-c', 'echo hi; exec sleep 1000']}\n")
        up = Terminal(self, "up")
        up.wait_for("hi")
        self.stop_daemon(signal.SIGKILL)
        self.assertEqual(up.wait(), 1)
        self.assertIn("composed", up.text)
        self.start_daemon()
        self.assertEqual(self.container("a")["state"], "running")


class ProgressTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.write("name: live\nservices:\n  a: {image: busybox, init: true, command: sleep 1000}\n")

    def test_a_terminal_has_one_live_line_a_resource(self):
        up = Terminal(self, "up", "-d")
        self.assertEqual(up.wait(), 0)
        last = re.split(r"\x1b\[\d+A", up.text)[-1]
        plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", last)
        self.assertRegex(plain, r"\[\+\] Running 2/2")
        self.assertRegex(plain, r"✔ Network live_default +Created")
        self.assertRegex(plain, r"✔ Container live-a-1 +Started")

    def test_without_a_terminal_the_lines_are_plain(self):
        up = self.compose("up", "-d")
        self.assertNotIn("\x1b", up.stderr)
        self.assertIn(" Container live-a-1  Started\n", up.stderr)


class ExecTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.write("name: shell\nservices:\n  a: {image: busybox, init: true, command: sleep 1000}\n")
        self.compose("up", "-d")

    def test_a_shell_has_a_terminal_of_our_size(self):
        shell = Terminal(self, "exec", "a", "sh", rows=33, columns=77)
        shell.type("tty; stty size; exit 7\n")
        self.assertEqual(shell.wait(), 7)
        self.assertRegex(shell.text, r"(?m)^/dev/pts/\d+$")
        self.assertRegex(shell.text, r"(?m)^33 77$")

    def test_a_new_size_arrives(self):
        shell = Terminal(self, "exec", "a", "sh", rows=33, columns=77)
        shell.type("stty size\n")
        shell.wait_for("^33 77$")
        shell.resize(44, 88)

        def follows():
            shell.type("stty size\n")
            shell.read(0.2)
            return "44 88" in shell.text
        wait_until(follows, 5, "the new size")
        shell.type("exit\n")
        self.assertEqual(shell.wait(), 0)

    def test_control_c_is_for_the_program_inside(self):
        shell = Terminal(self, "exec", "a", "sh")
        shell.type("echo re''ady; sleep 1000\n")
        shell.wait_for("^ready$")
        time.sleep(0.2)
        shell.type(CONTROL_C)
        shell.type("echo still h''ere; exit 0\n")
        self.assertEqual(shell.wait(), 0)
        self.assertIn("still here", shell.text)

    def test_without_a_terminal_there_is_none(self):
        done = self.compose("exec", "-T", "a", "tty", check=False)
        self.assertEqual((done.returncode, done.stdout), (1, "not a tty\n"))


if __name__ == "__main__":
    unittest.main()
