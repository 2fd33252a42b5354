"""`compose run` and `attach`: containers for one run, their streams, signals and ends."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import unittest
import urllib.request

from harness import BIN, DaemonTest, wait_until
from terminal_test import TerminalTest

STACK = """
name: p
services:
  db:
    image: busybox
    init: true
    command: sleep 1000
    healthcheck: {test: "true", interval: 1s}
  job:
    image: busybox
    command: echo by itself
    environment: {A: file, B: file}
    labels: {l: file}
    ports: ["18201:80"]
    restart: always
    depends_on: {db: {condition: service_healthy}}
    volumes: ["data:/data", /anonymous]
  web:
    image: busybox
    init: true
    command: httpd -f -p 80 -h /etc
    ports: ["127.0.0.1:18202:80"]
    networks: {default: {aliases: [alias]}}
volumes: {data: {}}
"""


class RunTest(TerminalTest):
    def setUp(self):
        super().setUp()
        self.write(STACK)

    def one_offs(self):
        return [each for each in self.containers() if each["one_off"]]

    def run_it(self, *arguments, **how):
        return self.compose("run", "--rm", "--no-deps", *arguments, **how)

    def test_what_a_run_in_the_background_wrote_can_be_read(self):
        container = self.compose("run", "-d", "--no-deps", "job", "echo", "from afar").stdout.strip()
        [run] = self.one_offs()
        for name in container, container[:12], run["name"]:
            wait_until(lambda: "from afar" in self.compose("logs", "--no-log-prefix", name).stdout, 10, "the line")
        self.assertNotIn("from afar", self.compose("logs").stdout, "as of no service")
        self.assertNotIn("from afar", self.compose("logs", "job").stdout)
        self.assertEqual(self.compose("logs", name + "x", check=False).returncode, 1)

    def test_streams_and_exit_code_are_those_of_the_process(self):
        done = self.run_it("job", "sh", "-c", "cat; echo err >&2; exit 7", input="from here\n", check=False)
        self.assertEqual((done.returncode, done.stdout), (7, "from here\n"))
        self.assertIn("err\n", done.stderr)
        self.assertEqual(self.run_it("job").stdout, "by itself\n")
        self.assertEqual(self.run_it("job", "no-such-program", check=False).returncode, 127)
        self.assertEqual(self.run_it("job", "/etc/passwd", check=False).returncode, 126)
        self.assertEqual(self.run_it("job", "sh", "-c", "sleep 100 & kill -9 $!; wait $!", check=False).returncode, 137)
        done = self.compose("run", "nope", check=False)
        self.assertEqual((done.returncode, done.stderr), (1, "no such service: nope\n"))
        wait_until(lambda: not self.containers(), 5, "all to be removed")
        # Volumes without a name go with their container, others do not.
        self.assertEqual([each["name"] for each in self.api("/volumes")], ["p_data"])

    def test_it_has_a_name_of_its_own_and_labels_that_tell_it(self):
        self.compose("run", "--no-deps", "job", "true")
        [container] = self.one_offs()
        self.assertRegex(container["name"], "^p-job-run-[0-9a-f]{12}$")
        labels = container["labels"]
        self.assertEqual(labels["com.docker.compose.oneoff"], "True")
        self.assertEqual(labels["com.docker.compose.slug"], container["name"][-12:])
        self.assertNotIn("com.docker.compose.container-number", labels)
        self.assertEqual((container["state"], container["exit_code"]), ("exited", 0))
        # Not the service's: it is neither shown nor started with it, but -a shows it and down removes it.
        self.assertNotIn("-run-", self.compose("ps").stdout)
        self.assertIn("-run-", self.compose("ps", "-a").stdout)
        self.compose("up", "-d")
        self.assertEqual(len(self.containers("job")), 2)
        self.compose("down", "-t", "0")
        self.assertEqual(self.containers(), [])

    def test_dependencies_come_first_and_stay(self):
        done = self.compose("run", "--rm", "job", "echo", "ran")
        self.assertEqual(done.stdout, "ran\n")
        self.assertEqual(self.container("db")["health"], "healthy")
        self.assertIn("Container p-db-1  Started", done.stderr)
        wait_until(lambda: len(self.containers()) == 1, 5, "the one-off to go")
        self.compose("down", "-t", "0")
        self.assertEqual(self.api("/projects"), [])

    def test_flags_change_the_one_container(self):
        (self.project / "env").write_text("B=env file\nC='quoted'\n")
        (self.project / "folder").mkdir()
        (self.project / "folder/file").write_text("here")
        script = ("echo $A,$B,$C,$D; id -u; pwd; cat /mnt/file; echo; ls /named; grep CapEff /proc/self/status; "
                  "touch /named/kept")
        arguments = ["-e", "A=flag", "--env-from-file", "env", "-eD", "-u", "1000:1000", "-w", "/tmp", "-v", "./folder:/mnt:ro",
                     "-v", "more:/named", "-l", "l=flag", "-l", "m=", "--cap-drop", "ALL", "--name", "own-name"]
        done = self.compose("run", "--no-deps", *arguments, "job", "sh", "-c", script, env={"D": "of the caller"}, check=False)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[:4], ["flag,env file,quoted,of the caller", "1000", "/tmp", "here"])
        self.assertEqual(int(lines[4].split()[1], 16), 0)
        [container] = self.one_offs()
        self.assertEqual(container["name"], "own-name")
        self.assertEqual((container["labels"]["l"], container["labels"]["m"]), ("flag", ""))
        self.assertIn("more", [each["name"] for each in self.api("/volumes")])
        again = self.compose("run", "--no-deps", "--name", "own-name", "job", check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn('"own-name" is in use', again.stderr)
        for name in "x/y", "../../x", "-x", "x", "a\x1b[2J", "a b":
            refused = self.compose("run", "--no-deps", f"--name={name}", "job", check=False)
            self.assertEqual(refused.returncode, 1, name)
            self.assertIn("is no name for a container; it has two or more letters", refused.stderr)
            self.assertNotIn("\x1b", refused.stderr)
        for flag in ["--entrypoint="], ["--entrypoint", ""]:
            self.assertEqual(self.run_it(*flag, "job", "echo", "hi").stdout, "hi\n")
        done = self.run_it("--entrypoint", "echo 'a  b'", "job")
        self.assertEqual(done.stdout, "a  b\n")
        self.compose("down", "-v", "-t", "0")

    def test_ports_and_names_only_when_asked_for(self):
        self.compose("up", "-d", "web")
        done = self.compose("run", "-d", "--no-deps", "web")
        [container] = self.one_offs()
        self.assertEqual(done.stdout.strip(), container["id"])
        self.assertEqual(container["ports"], [])
        lookup = "nslookup web | grep -c 'Address.*172\\|Address.*192.168'"
        self.assertEqual(self.compose("exec", "web", "sh", "-c", lookup).stdout, "1\n")
        named = self.compose("run", "-d", "--no-deps", "--use-aliases", "-p", "127.0.0.1:18203:80", "web").stdout.strip()
        self.assertEqual(self.compose("exec", "web", "sh", "-c", lookup).stdout, "2\n")
        with urllib.request.urlopen("http://127.0.0.1:18203/hostname") as page:
            self.assertEqual(page.read().decode().strip(), named[:12])
        taken = self.compose("run", "--rm", "--no-deps", "-P", "web", check=False)
        self.assertEqual(taken.returncode, 1)
        self.assertIn("18202", taken.stderr)
        both = self.compose("run", "-P", "-p", "1:1", "web", check=False)
        self.assertEqual((both.returncode, both.stderr), (1, "--service-ports and --publish are incompatible\n"))
        self.compose("down", "-t", "0")

    def test_without_a_file_by_the_name_of_the_project(self):
        self.compose("up", "-d", "db")
        (self.project / "compose.yaml").unlink()
        self.assertEqual(self.compose("-p", "p", "run", "--rm", "job", "echo", "ran").stdout, "ran\n")
        none = self.compose("-p", "none", "run", "job", check=False)
        self.assertEqual(none.returncode, 1)
        self.assertIn('project "none"', none.stderr)

    def test_much_output_comes_whole_to_a_slow_reader(self):
        size = 40 << 20
        environment = {**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"}
        reader = subprocess.Popen([BIN / "compose", "run", "--rm", "--no-deps", "job", "sh", "-c", f"yes 0123456 | head -c {size}"],
                                  cwd=self.project, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                  env=environment)
        time.sleep(2)
        count = 0
        while part := reader.stdout.read1(1 << 20):
            count += len(part)
        self.assertEqual((count, reader.wait(10)), (size, 0))
        reader.stdout.close()

    def test_signals_go_to_the_process(self):
        job = self.beside("run", "--rm", "--no-deps", "-e", "X=1", "job", "sh", "-c",
                          "trap 'exit 9' INT; while true; do sleep 0.1; done")
        wait_until(lambda: [each for each in self.one_offs() if each["state"] == "running"], 10, "it to run")
        time.sleep(0.3)
        job.send_signal(signal.SIGINT)
        self.assertEqual(job.wait(10), 9)

    def test_at_a_terminal(self):
        run = self.on_terminal("run", "--rm", "--no-deps", "job", "sh", rows=33, columns=77)
        run.wait_for("/ #")
        run.type("stty size; tty\n")
        run.wait_for("33 77")
        run.resize(44, 88)
        time.sleep(0.3)
        run.type("stty size\n")
        run.wait_for("44 88")
        run.type("exit 5\n")
        self.assertEqual(run.end(), 5)
        # Left alone by the keys, it goes on; attach takes it up again.
        run = self.on_terminal("run", "--no-deps", "--name", "shell", "job", "sh")
        run.wait_for("/ #")
        run.type("\x10\x11")
        self.assertEqual(run.end(), 0)
        self.assertEqual([each["state"] for each in self.one_offs()], ["running"])

    def test_a_client_that_is_killed_leaves_it_running_and_a_new_daemon_keeps_it(self):
        job = self.beside("run", "--rm", "--no-deps", "job", "sh", "-c", "while ! test -e /data/end; do sleep 0.1; echo on; done")
        wait_until(lambda: [each for each in self.one_offs() if each["state"] == "running"], 10, "it to run")
        job.kill()
        time.sleep(0.5)
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        [container] = self.one_offs()
        self.assertEqual(container["state"], "running")
        self.run_it("job", "touch", "/data/end")
        wait_until(lambda: not self.containers(), 10, "both to be gone")


    def killed_meanwhile(self, job, wait=1.0):
        """What becomes of a client whose daemon is killed, and comes back a little later."""
        wait_until(lambda: [each for each in self.one_offs() if each["state"] == "running"], 10, "it to run")
        time.sleep(0.3)
        self.stop_daemon(signal.SIGKILL)
        time.sleep(wait)
        self.start_daemon()
        out = job.communicate(timeout=20)
        return job.returncode, *out

    def test_a_killed_daemon_costs_no_result(self):
        environment = {**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"}

        def begin(*arguments):
            return subprocess.Popen([BIN / "compose", "run", "--no-deps", *arguments], cwd=self.project, text=True, env=environment,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        # It ends with the daemon there again, or while there is none; --rm takes its record away at once.
        for seconds in 4, 1:
            for flags in (), ("--rm",):
                with self.subTest(seconds=seconds, flags=flags):
                    job = begin(*flags, "job", "sh", "-c", f"echo first; sleep {seconds}; echo last; exit 7")
                    code, out, told = self.killed_meanwhile(job, wait=1.5)
                    self.assertEqual(code, 7, told)
                    self.assertEqual(out, "first\nlast\n" if seconds == 4 else "first\n")
                    self.assertIn("warning: composed has gone away; waiting for it to come back\n", told)
                    self.compose("rm", "-f", check=False)
                    for each in self.one_offs():
                        self.api(f"/containers/{each['id']}", method="DELETE")


class AttachTest(TerminalTest):
    def test_attach_shows_output_and_gives_the_exit_code(self):
        self.write("name: p\nservices: {s: {image: busybox, stdin_open: true, command: [sh, -c, "
                   "'while read line; do echo got $$line; test $$line = end && exit 3; done']}}\n")
        self.compose("up", "-d")
        done = self.compose("attach", "s", input="one\nend\n", check=False)
        self.assertEqual((done.returncode, done.stdout), (3, "got one\ngot end\n"))
        stopped = self.compose("attach", "s", check=False)
        self.assertEqual((stopped.returncode, stopped.stderr), (1, 'service "s" is not running\n'))

    def test_signals_and_detach_keys(self):
        self.write("name: p\nservices: {s: {image: busybox, tty: true, stdin_open: true, command: sh}}\n")
        self.compose("up", "-d")
        terminal = self.on_terminal("attach", "--detach-keys", "ctrl-x,d", "s")
        terminal.type("\n")
        terminal.wait_for("/ #")
        terminal.type("\x18d")
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(self.container("s")["state"], "running")
        bad = self.compose("attach", "--detach-keys", "ctrl", "s", check=False)
        self.assertEqual(bad.returncode, 1)
        self.assertIn('"ctrl"', bad.stderr)


if __name__ == "__main__":
    unittest.main()
