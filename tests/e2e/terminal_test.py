"""What a person at a terminal sees: up in the foreground, Ctrl-C, exec with a terminal, live progress.

The programs run in a session of their own with a pseudo-terminal as their controlling one, so that \\x03 is a Ctrl-C.
"""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
import unittest
import unittest.mock

from harness import BIN, DaemonTest, wait_until

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
INTERRUPTED = 130


def set_size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))


class Terminal:
    """A program on a pseudo-terminal; a thread reads what it shows."""

    def __init__(self, command, cwd, environment, rows=24, columns=80):
        command = [str(each) for each in command]
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            with contextlib.suppress(BaseException):
                set_size(0, rows, columns)
                os.chdir(cwd)
                os.execve(command[0], command, environment)
            os._exit(127)
        self.raw = b""
        self.status = None
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        with contextlib.suppress(OSError):  # EIO when the last one has closed the other end
            while True:
                if select.select([self.fd], [], [], 0.1)[0]:
                    part = os.read(self.fd, 65536)
                    if not part:
                        return
                    self.raw += part
                elif self.status is not None:
                    return

    @property
    def shown(self):
        """As text, without carriage returns; escape sequences are still in it."""
        return self.raw.decode(errors="replace").replace("\r\n", "\n")

    @property
    def plain(self):
        return ESCAPE.sub("", self.shown)

    def wait_for(self, text, seconds=10, count=1):
        try:
            wait_until(lambda: self.plain.count(text) >= count, seconds)
        except AssertionError:
            raise AssertionError(f"{text!r} was not shown within {seconds} s, but: {self.plain[-2000:]!r}") from None

    def type(self, text):
        os.write(self.fd, text.encode())

    def resize(self, rows, columns):
        """The kernel sends SIGWINCH to the foreground process group."""
        set_size(self.fd, rows, columns)

    def is_running(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is None

    def end(self, seconds=15):
        """Waits for the program's end; its exit code, negative for a signal."""
        try:
            wait_until(lambda: not self.is_running(), seconds)
        except AssertionError:
            raise AssertionError(f"did not end within {seconds} s, shown: {self.plain[-2000:]!r}") from None
        self.reader.join()
        return self.status

    def close(self):
        if self.is_running():
            os.kill(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
            self.status = os.waitstatus_to_exitcode(status)
        self.reader.join()
        os.close(self.fd)


class TerminalTest(DaemonTest):
    def on_terminal(self, *arguments, program=BIN / "compose", **size):
        environment = {**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock", "TERM": "xterm-256color"}
        terminal = Terminal([program, *arguments], self.project, environment, **size)
        self.addCleanup(terminal.close)
        return terminal

    def beside(self, *arguments, output=subprocess.DEVNULL):
        """A compose without a terminal, beside the test."""
        environment = {**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"}
        process = subprocess.Popen([BIN / "compose", *arguments], cwd=self.project, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=output, env=environment)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def end_by_force(self, service):
        """So that a test that failed need not wait for a long grace period."""
        for each in self.containers(service):
            if each["state"] in ("running", "stopping"):
                os.kill(each["pid"], signal.SIGKILL)


def service(name, script, more=""):
    return f"  {name}:\n    image: busybox\n{more}    command:\n      - sh\n      - -c\n      - |\n        {script}\n"


SLEEPER = "  s: {image: busybox, init: true, command: sleep 1000}\n"
POLITE = "trap 'echo bye from {name}; exit 0' TERM; i=0; while true; do i=$$((i + 1)); echo {name} says $$i; sleep 0.05; done"
TWO = "name: f\nservices:\n" + service("one", POLITE.format(name="one")) + service("other", POLITE.format(name="other"))
STUBBORN = "trap '' TERM INT; echo ready; while true; do sleep 0.1; done"


class ForegroundTest(TerminalTest):
    def test_up_shows_logs_with_prefixes_and_ctrl_c_stops_gracefully(self):
        self.write(TWO)
        up = self.on_terminal("up")
        up.wait_for("one says 5")
        up.wait_for("other says 5")
        self.assertRegex(up.plain, r"(?m)^one-1    \| one says 1$")
        self.assertRegex(up.plain, r"(?m)^other-1  \| other says 1$")
        self.assertRegex(up.shown, "\x1b\\[\\d+mone-1    \\| \x1b\\[0mone says 1\n")
        up.type("\x03")
        self.assertEqual(up.end(), INTERRUPTED)
        self.assertIn("Gracefully Stopping", up.plain)
        for name in ("one", "other"):
            self.assertIn(f"bye from {name}\n", up.plain)
            self.assertRegex(up.plain, rf"Container f-{name}-1\s+Stopped")
        self.assertEqual({each["state"]: each["exit_code"] for each in self.containers()}, {"exited": 0})

    def test_no_line_is_lost_or_doubled_between_up_and_its_logs(self):
        count = "i=0; while [ $$i -lt 3000 ]; do i=$$((i + 1)); echo line $$i; done"
        self.write("name: f\nservices:\n" + service("s", count))
        up = self.on_terminal("up")
        self.assertEqual(up.end(), 0)
        self.assertEqual(re.findall(r"s-1  \| line (\d+)\n", up.plain), [str(n) for n in range(1, 3001)])

    def test_sigterm_stops_gracefully_too(self):
        self.write("name: f\nservices:\n" + service("s", POLITE.format(name="s")))
        up = self.on_terminal("up")
        up.wait_for("s says 3")
        os.kill(up.pid, signal.SIGTERM)
        self.assertEqual(up.end(), INTERRUPTED)
        self.assertIn("bye from s", up.plain)
        self.assertEqual(self.container("s")["state"], "exited")

    def test_ctrl_c_twice_ends_what_will_not_stop(self):
        self.write("name: f\nservices:\n" + service("s", STUBBORN, "    stop_grace_period: 60s\n"))
        self.addCleanup(self.end_by_force, "s")
        up = self.on_terminal("up")
        up.wait_for("ready")
        up.type("\x03")
        up.wait_for("Gracefully Stopping")
        wait_until(lambda: self.container("s")["state"] == "stopping", 5, "the first Ctrl-C to stop the service")
        time.sleep(0.5)  # it goes on to wait
        self.assertTrue(up.is_running())
        self.assertEqual(self.container("s")["state"], "stopping")
        up.type("\x03")
        self.assertEqual(up.end(5), INTERRUPTED)
        self.assertEqual(self.wait_for_state("s", "exited")["exit_code"], 137)

    def test_kill_ends_what_another_one_waits_to_stop(self):
        self.write("name: f\nservices:\n" + service("s", STUBBORN, "    stop_grace_period: 60s\n"))
        self.compose("up", "-d")
        self.addCleanup(self.end_by_force, "s")
        stop = self.beside("stop")
        self.wait_for_state("s", "stopping")
        kill = self.beside("kill")
        self.assertEqual(self.wait_for_state("s", "exited", 5)["exit_code"], 137)
        self.assertEqual((kill.wait(5), stop.wait(5)), (0, 0))

    def test_ctrl_c_while_a_dependency_is_waited_for_stops_gracefully(self):
        self.write("name: f\nservices:\n" + service("db", POLITE.format(name="db"),
                   "    healthcheck: {test: 'false', interval: 1s, start_period: 100s}\n")
                   + service("app", POLITE.format(name="app"), "    depends_on: {db: {condition: service_healthy}}\n"))
        up = self.on_terminal("up")
        self.wait_for_state("db", "running")
        up.wait_for("Waiting")
        up.type("\x03")
        self.assertEqual(up.end(), INTERRUPTED)
        self.assertEqual((self.container("db")["state"], self.container("app")["state"]), ("exited", "created"))

    def test_ctrl_c_stops_only_the_services_that_were_named(self):
        self.write(TWO)
        self.compose("up", "-d", "other")
        up = self.on_terminal("up", "one")
        up.wait_for("one says 3")
        self.assertNotIn("other says", up.plain)
        up.type("\x03")
        self.assertEqual(up.end(), INTERRUPTED)
        self.assertEqual(self.container("one")["state"], "exited")
        self.assertEqual(self.container("other")["state"], "running")

    def test_up_ends_when_all_services_have(self):
        self.write("name: f\nservices:\n" + service("quick", "echo first") + service("slow", "sleep 1; echo second; exit 3"))
        up = self.on_terminal("up")
        self.assertEqual(up.end(), 0)
        self.assertIn("quick-1  | first\n", up.plain)
        self.assertIn("slow-1   | second\n", up.plain)
        self.assertNotIn("Stopping", up.plain)
        self.assertEqual(self.container("slow")["exit_code"], 3)

    def test_up_tells_how_each_service_ended(self):
        self.write("name: f\nservices:\n" + service("fine", "echo a") + service("broken", "echo b; exit 3"))
        up = self.on_terminal("up")
        self.assertEqual(up.end(), 0)
        self.assertIn("fine-1 exited with code 0", up.plain)
        self.assertIn("broken-1 exited with code 3", up.plain)

    def test_a_restart_from_elsewhere_does_not_end_up(self):
        self.write("name: f\nservices:\n" + service("s", POLITE.format(name="s")))
        up = self.on_terminal("up")
        up.wait_for("s says 3")
        self.compose("restart")
        up.wait_for("s says 3\n", 5, count=2)
        up.type("\x03")
        self.assertEqual(up.end(), INTERRUPTED)
        self.assertEqual(self.container("s")["state"], "exited")

    def test_what_runs_already_is_attached_to(self):
        self.write("name: f\nservices:\n" + service("s", POLITE.format(name="s")))
        self.compose("up", "-d")
        pid = self.container("s")["pid"]
        up = self.on_terminal("up")
        up.wait_for("s says")
        self.assertEqual(self.container("s")["pid"], pid)
        up.type("\x03")
        self.assertEqual(up.end(), INTERRUPTED)
        self.assertEqual(self.container("s")["state"], "exited")


class ExecTest(TerminalTest):
    def setUp(self):
        super().setUp()
        self.write("name: e\nservices:\n" + SLEEPER)
        self.compose("up", "-d")

    def shell(self, **size):
        shell = self.on_terminal("exec", "s", "sh", **size)
        shell.wait_for("# ")
        return shell

    def test_a_shell_has_a_terminal_of_the_same_size_that_follows_changes(self):
        shell = self.shell(rows=31, columns=97)
        shell.type("tty\n")
        shell.wait_for("/dev/pts/")
        shell.type("test -t 0 && test -t 1 && test -t 2 && echo all-thr''ee\n")
        shell.wait_for("all-three")
        shell.type("stty size\n")
        shell.wait_for("31 97\n")
        shell.resize(45, 123)
        wait_until(lambda: shell.type("stty size\n") or "45 123\n" in shell.plain, 5, "the new size")
        shell.type("exit 42\n")
        self.assertEqual(shell.end(), 42)

    def test_a_change_of_size_reaches_a_program_as_a_signal(self):
        run = self.on_terminal("exec", "s", "sh", "-c", "trap 'echo now $(stty size)' WINCH; echo ready; "
                               "while true; do sleep 0.05; done", rows=20, columns=60)
        run.wait_for("ready")
        run.resize(21, 61)
        run.wait_for("now 21 61")

    def test_ctrl_c_interrupts_the_program_inside_and_not_the_client(self):
        shell = self.shell()
        shell.type("sleep 777\n")
        sleeping = ("exec", "-T", "s", "sh", "-c", "ps | grep '[s]leep 777'")
        wait_until(lambda: self.compose(*sleeping, check=False).returncode == 0, 5, "sleep to run")
        shell.type("\x03")
        wait_until(lambda: self.compose(*sleeping, check=False).returncode == 1, 5, "sleep to have ended")
        self.assertTrue(shell.is_running())
        shell.type("echo code $?\n")
        shell.wait_for("code 130")
        shell.type("\x04")
        self.assertEqual(shell.end(), 0)

    def test_ctrl_c_ends_a_program_without_a_shell_with_130(self):
        run = self.on_terminal("exec", "s", "sh", "-c", "echo ready; exec sleep 1000")
        run.wait_for("ready")
        run.type("\x03")
        self.assertEqual(run.end(), INTERRUPTED)
        self.assertEqual(self.container("s")["state"], "running")

    def test_the_exit_code_is_passed_on(self):
        for code in (0, 7, 255):
            self.assertEqual(self.on_terminal("exec", "s", "sh", "-c", f"exit {code}").end(), code)
        killed = self.on_terminal("exec", "s", "sh", "-c", "kill -9 $$")
        self.assertEqual(killed.end(), 137)

    def test_the_terminal_is_afterwards_as_it_was(self):
        script = ('echo before $(stty -g); "$0" exec s sh -c "echo inside; exit 3"; echo code $?; echo after $(stty -g); '
                  "python3 -c 'import os; print(\"blocking\", *map(os.get_blocking, (0, 1, 2)))'")
        run = self.on_terminal("-c", script, BIN / "compose", program="/bin/sh")
        self.assertEqual(run.end(), 0)
        shown = dict(line.split(" ", 1) for line in run.plain.splitlines() if " " in line)
        self.assertEqual(shown["code"], "3")
        self.assertEqual(shown["after"], shown["before"])
        self.assertEqual(shown["blocking"], "True True True")

    def test_much_output_is_whole(self):
        run = self.on_terminal("exec", "s", "seq", "1", "200000")
        self.assertEqual(run.end(30), 0)
        expected = "".join(f"{n}\n" for n in range(1, 200_001))
        self.assertEqual(len(run.plain), len(expected))
        self.assertTrue(run.plain == expected)

    def test_an_unknown_service_leaves_the_terminal_alone(self):
        run = self.on_terminal("exec", "nothing", "sh")
        self.assertEqual(run.end(), 1)
        self.assertIn("nothing", run.plain)

    def test_with_T_there_is_no_terminal_inside(self):
        run = self.on_terminal("exec", "-T", "s", "tty")
        self.assertEqual(run.end(), 1)
        self.assertEqual(run.plain, "not a tty\n")
        test = "for fd in 0 1 2; do test -t $fd && echo terminal; done; echo checked"
        self.assertEqual(self.compose("exec", "-T", "s", "sh", "-c", test).stdout, "checked\n")

    def test_ctrl_c_with_T_ends_the_client(self):
        run = self.on_terminal("exec", "-T", "s", "sh", "-c", "echo ready; exec sleep 1000")
        run.wait_for("ready")
        run.type("\x03")
        self.assertIn(run.end(), (INTERRUPTED, -signal.SIGINT))

    def test_without_a_terminal_outside_there_is_none_inside(self):
        self.assertEqual(self.compose("exec", "s", "tty", check=False).stdout, "not a tty\n")


class ProgressTest(TerminalTest):
    def setUp(self):
        super().setUp()
        self.write("name: p\nservices:\n"
                   + "".join(f"  {name}: {{image: busybox, init: true, command: sleep 1000}}\n" for name in ("one", "other")))

    def test_up_draws_one_live_line_a_resource(self):
        up = self.on_terminal("up", "-d")
        self.assertEqual(up.end(), 0)
        last = up.plain[up.plain.rindex("[+] Running"):].splitlines()
        self.assertEqual(last[0], "[+] Running 3/3")
        self.assertEqual(len(last), 4, last)
        for name in ("Network p_default +Created", "Container p-one-1 +Started", "Container p-other-1 +Started"):
            self.assertEqual(len([line for line in last if re.match(rf" ✔ {name} +\d+\.\ds$", line)]), 1, last)
        self.assertIn("\x1b[32m✔\x1b[0m", up.shown)

    def test_it_moves_up_by_as_many_lines_as_it_has_drawn(self):
        self.write("name: p\nservices:\n" + service("s", STUBBORN, "    stop_grace_period: 1s\n"))
        self.compose("up", "-d")
        down = self.on_terminal("down")
        self.assertEqual(down.end(), 0)
        pictures = re.split("\x1b\\[(\\d+)A", down.shown)
        self.assertGreater(len(pictures), 5)
        for drawn, moved in zip(pictures[0::2], pictures[1::2]):
            self.assertEqual(drawn.count("\n"), int(moved))
        last = down.plain[down.plain.rindex("[+] Running"):]
        self.assertRegex(last, r" ✔ Container p-s-1 +Removed +\d\.\ds\n ✔ Network p_default +Removed +\d\.\ds\n$")

    def test_the_time_of_a_line_is_that_of_all_that_was_done_with_the_resource(self):
        self.write("name: p\nservices:\n" + service("s", STUBBORN, "    stop_grace_period: 1s\n"))
        self.compose("up", "-d")
        down = self.on_terminal("down")
        self.assertEqual(down.end(), 0)
        self.assertRegex(down.plain, r" ✔ Container p-s-1 +Removed +[1-9]\.\ds\n")

    def test_no_line_is_wider_than_a_narrow_terminal(self):
        # A line that the terminal breaks in two is two lines, and the picture creeps down the screen.
        up = self.on_terminal("up", "-d", columns=30)
        self.assertEqual(up.end(), 0)
        wide = {line for line in up.plain.splitlines() if len(line) > 30}
        self.assertEqual(wide, set())

    def test_more_resources_than_the_terminal_has_rows(self):
        self.write("name: p\nservices:\n  s: {image: busybox, init: true, command: sleep 1000, scale: 20}\n")
        up = self.on_terminal("up", "-d", rows=10)
        self.assertEqual(up.end(30), 0)
        for moved in re.findall("\x1b\\[(\\d+)A", up.shown):
            self.assertLess(int(moved), 10)
        self.assertIn("[+] Running 21/21", up.plain)

    def test_a_failure_is_the_last_line(self):
        self.write("name: p\nservices:\n  s: {image: busybox, command: no-such-program}\n")
        up = self.on_terminal("up", "-d")
        self.assertEqual(up.end(), 1)
        self.assertNotIn("✔ Container p-s-1", up.plain)
        self.assertIn("no-such-program", up.plain.splitlines()[-1])

    def test_without_a_terminal_there_are_plain_lines(self):
        up = self.compose("up", "-d")
        self.assertEqual(up.stdout, "")
        lines = up.stderr.splitlines()
        for expected in (" Network p_default  Created", " Container p-one-1  Created", " Container p-one-1  Started",
                         " Container p-other-1  Started"):
            self.assertIn(expected, lines)
        for text in (up.stderr, self.compose("logs").stdout, self.compose("ps").stdout, self.compose("down").stderr):
            self.assertNotIn("\x1b", text)
            self.assertNotIn("\r", text)

    def test_ansi_never_has_plain_lines_on_a_terminal(self):
        for words, variables in ((["--ansi", "never"], {}), ([], {"COMPOSE_ANSI": "never"}), ([], {"NO_COLOR": "1"})):
            with unittest.mock.patch.dict(os.environ, variables):
                up = self.on_terminal(*words, "up", "-d")
                self.assertEqual(up.end(), 0)
            self.assertNotIn("\x1b", up.shown)
            self.assertIn(" Container p-one-1  Started\n", up.shown)
            self.compose("down", "-t", "0")
        self.assertIn("--ansi: loud not in", self.compose("ps", env={"COMPOSE_ANSI": "loud"}, check=False).stderr)

    def test_progress_as_it_is_asked_for(self):
        quiet = self.compose("--progress", "quiet", "up", "-d")
        self.assertEqual(quiet.stdout + quiet.stderr, "")
        self.compose("down", "-t", "0", env={"COMPOSE_PROGRESS": "quiet"})
        lines = [json.loads(line) for line in self.compose("--progress", "json", "--verbose", "--parallel", "3", "up", "-d").stderr.splitlines()]
        self.assertIn({"id": "Container p-one-1", "status": "Working", "text": "Starting"}, lines)
        self.assertIn({"id": "Container p-one-1", "status": "Done", "text": "Started"}, lines)
        failed = self.compose("--progress", "json", "up", "-d", "nope", check=False)
        self.assertEqual((failed.returncode, json.loads(failed.stderr)), (1, {"error": True, "message": "no such service: nope"}))
        plain = self.on_terminal("--progress", "plain", "restart", "-t", "0")
        self.assertEqual(plain.end(), 0)
        self.assertNotIn("\x1b", plain.shown)
        self.assertIn("--progress: loud not in", self.compose("--progress", "loud", "ps", check=False).stderr)

    def test_up_in_the_foreground_without_a_terminal_is_plain_and_stops_at_sigint(self):
        self.write("name: p\nservices:\n" + service("s", POLITE.format(name="s")))
        output = self.folder / "output"
        with open(output, "w") as file:
            up = self.beside("up", output=file)
        wait_until(lambda: "s says 3" in output.read_text(), 10, "the service's lines")
        up.send_signal(signal.SIGINT)
        self.assertEqual(up.wait(15), INTERRUPTED)
        text = output.read_text()
        self.assertNotIn("\x1b", text)
        self.assertIn("s-1  | s says 3\n", text)
        self.assertIn("s-1  | bye from s\n", text)
        self.assertIn(" Container p-s-1  Stopped\n", text)


if __name__ == "__main__":
    unittest.main()
