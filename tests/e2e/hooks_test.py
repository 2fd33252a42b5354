"""Commands in a container after its start and before its stop, and what deploy.restart_policy says of restarts."""
import json
import os
import signal
import subprocess
import time
import unittest

from harness import BIN, DaemonTest, wait_until


class HooksTest(DaemonTest):
    def up(self, keys, *arguments, command="sleep 100000", check=True):
        self.notes = self.folder / "notes"
        self.notes.mkdir(exist_ok=True)
        self.write(f"name: hooks\nservices:\n  s:\n    image: busybox\n    init: true\n    command: {command}\n    volumes: ['{self.notes}:/notes']\n"
                   + "".join(f"    {line}\n" for line in keys.splitlines()))
        return self.compose("up", "-d", "-t", "0", *arguments, check=check)

    def read(self, name):
        file = self.notes / name
        return file.read_text() if file.exists() else ""

    def test_after_the_start(self):
        self.up("post_start:\n"
                "  - command: [sh, -c, 'echo $$GREETING $$(id -u) $$PWD >>/notes/start']\n    user: '1000'\n    working_dir: /tmp\n"
                "    environment: {GREETING: hello}\n"
                "  - command: sh -c 'echo second >>/notes/start'\n"
                "user: '0'\nrestart: always", check=False)
        self.notes.chmod(0o777)
        self.compose("up", "-d", "--force-recreate", "-t", "0")
        self.assertEqual(self.read("start"), "hello 1000 /tmp\nsecond\n")
        os.kill(self.container("s")["pid"], 9)  # it comes back by itself, and they run again
        wait_until(lambda: self.read("start").count("second") == 2, 10, "the hooks to run again")

    def test_one_without_a_command_is_refused_and_harms_no_daemon(self):
        for key in "post_start", "pre_stop":
            refused = self.up(f"{key}: [{{command: []}}]", check=False)
            self.assertIn(f"services.s.{key}[0].command: is empty", refused.stderr)
        self.up("post_start: [{command: 'true'}]\npre_stop: [{command: 'true'}]")
        definition = self.api("/projects/hooks")["definition"]  # what no file is may still come this way
        for key in "post_start", "pre_stop":
            definition["services"]["s"][key][0]["command"] = []
        self.assertIn("services.s.pre_stop[0].command: is empty", self.api("/projects/hooks", "PUT", json.dumps(definition))["message"])
        self.assertEqual(self.daemon.poll(), None)

    def test_one_that_fails_is_told(self):
        failed = self.up("post_start: [{command: [sh, -c, 'echo no such schema >&2; exit 3']}]", check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn('post_start hook "sh" exited with code 3: no such schema', failed.stderr)
        self.assertEqual(self.container("s")["state"], "running")
        failed = self.up("post_start: [{command: [no-such-program]}]", check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn("no-such-program", failed.stderr)

    def note(self, *words):
        """Hooks, one for each word, that write it down."""
        return "post_start:\n" + "".join(f"  - command: [sh, -c, '{word}']\n" for word in words)

    def kill_daemon(self):
        self.daemon.kill()
        self.daemon.wait()
        self.log.close()

    def test_a_hook_outlives_the_daemon_and_the_rest_follows(self):
        self.up(self.note("echo 1 >>/notes/order; sleep 1; seq 1 9; echo ended >>/notes/order", "echo 2 >>/notes/order")
                + "restart: always", "--no-start")
        with open(self.project / "compose.yaml", "a") as file:
            file.write("  web: {image: busybox, init: true, depends_on: [s], volumes: ['%s:/notes'],\n"
                       "        command: sh -c 'echo web >>/notes/order; sleep 1000'}\n" % self.notes)
        for pause in 0, 2:  # the hook ends when the next daemon is there, and before that
            with self.subTest(pause=pause):
                (self.notes / "order").unlink(missing_ok=True)
                self.compose("down", "-t", "0", check=False)
                self.begin("up", "-d")
                wait_until(lambda: self.read("order") == "1\n", 5, "the first hook to begin")
                self.kill_daemon()
                time.sleep(pause)
                self.start_daemon()
                wait_until(lambda: "web" in self.read("order"), 10, "what depends on it")
                self.assertEqual(self.read("order").split(), ["1", "ended", "2", "web"])

    def test_one_that_fails_under_the_next_daemon_holds_back_what_depends_on_it(self):
        self.up(self.note("echo 1 >>/notes/order; sleep 1; echo no such schema; exit 3", "echo 2 >>/notes/order"), "--no-start")
        with open(self.project / "compose.yaml", "a") as file:
            file.write("  web: {image: busybox, init: true, depends_on: [s], command: sleep 1000}\n")
        self.begin("up", "-d")
        wait_until(lambda: self.read("order") == "1\n", 5, "the first hook to begin")
        self.kill_daemon()
        self.start_daemon()
        wait_until(lambda: "no such schema" in json.dumps(self.api(f"/events?after=0&until={time.time()}")), 10, "the failure to be told")
        time.sleep(0.5)
        self.assertEqual(self.read("order"), "1\n")
        self.assertEqual(self.container("s")["state"], "running")
        self.assertEqual(self.container("web")["state"], "created")

    def begin(self, *arguments):
        """compose in the background, which ends with the test."""
        environment = {**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"}
        started = subprocess.Popen([BIN / "compose", *arguments], cwd=self.project, env=environment, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(lambda: (started.kill(), started.communicate()))
        return started

    def test_a_hook_does_not_hold_up_what_takes_the_stack_down(self):
        self.up(self.note("sleep 1000"), "--no-start")
        self.begin("up", "-d")
        wait_until(lambda: self.containers("s") and self.container("s")["state"] == "running", 5, "the container")
        start = time.monotonic()
        self.compose("down", "-t", "0")
        self.assertLess(time.monotonic() - start, 5)

    def test_a_pause_between_hooks(self):
        self.up(self.note("echo 1 >>/notes/order; sleep 1; echo 2 >>/notes/order", "echo 3 >>/notes/order"), "--no-start")
        up = self.begin("up", "-d")
        wait_until(lambda: self.read("order") == "1\n", 5, "the first hook to begin")
        self.compose("pause")
        time.sleep(1.5)
        self.assertEqual(self.read("order"), "1\n")
        self.assertIsNone(up.poll())
        self.compose("unpause")
        self.assertEqual((up.wait(10), self.read("order")), (0, "1\n2\n3\n"))

    def test_one_shots(self):
        """Hooks end with their container: that it succeeded first is no failure."""
        keys = self.note("sleep 1000", "echo never >>/notes/order")
        start = time.monotonic()
        self.up(keys, command="sleep 0.5")
        self.assertLess(time.monotonic() - start, 10)
        for command in "'true'", "sleep 0.3":
            self.up(keys, command=command)
            wait_until(lambda: self.container("s")["state"] == "exited", 5, "the end")
        self.up(keys + "pid: host", command="sleep 0.3")  # where the kernel does not end them
        self.wait_for_state("s", "exited", 5)
        failed = self.up(keys, command="sh -c 'sleep 0.3; exit 4'", check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn('exited (4) before its post_start hooks had ended', failed.stderr)
        self.assertEqual(self.read("order"), "")

    def test_run_has_the_end_and_the_output_of_its_process(self):
        self.up(self.note("sleep 3; echo hook >>/notes/order"), "--no-start")
        for command, code in ("true", 0), ("echo out; exit 3", 3), ("sleep 0.3; echo out; exit 137", 137):
            start = time.monotonic()
            done = self.compose("run", "--rm", "s", "sh", "-c", command, check=False)
            self.assertEqual((done.returncode, done.stdout), (code, "out\n" if "out" in command else ""), done.stderr)
            self.assertNotIn("post_start", done.stderr)
            self.assertLess(time.monotonic() - start, 2.5)
        self.assertEqual(len(self.containers()), 1)
        self.assertEqual(self.read("order"), "")
        start = time.monotonic()
        run = self.begin("run", "--rm", "s", "sh", "-c", "echo out; sleep 4; echo $(cat /notes/order)")
        self.assertEqual(run.stdout.readline(), "out\n")
        self.assertLess(time.monotonic() - start, 2)  # and not when the hook has ended
        self.assertEqual(run.communicate()[0], "hook\n")
        self.assertEqual(run.returncode, 0)
        self.compose("run", "-d", "--rm", "s", "true")

    def test_run_tells_of_a_hook_that_fails(self):
        self.up(self.note("echo no such schema; exit 3"), "--no-start")
        done = self.compose("run", "--rm", "s", "sh", "-c", "sleep 1; exit 5", check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn('post_start hook "sh" exited with code 3: no such schema', done.stderr)

    def test_scheduled(self):
        keys = "x-composed: {schedule: '@every 1s'}\n"
        def runs():
            return [each for each in json.loads(self.compose("history", "--runs", "--format", "json").stdout) if "finished" in each]
        self.up(keys + self.note("sleep 1000"), command="'true'")
        wait_until(lambda: len(runs()) >= 2, 10, "two runs")
        self.assertEqual({(each.get("error"), each["exit_code"]) for each in runs()}, {(None, 0)})
        self.up(keys + self.note("exit 3"), command="sh -c 'sleep 0.5; exit 4'")
        failed = wait_until(lambda: [each for each in runs() if each["exit_code"] == 4], 10, "a run with a hook that fails")
        self.assertIn('post_start hook "sh" exited with code 3', failed[0]["error"])
        self.assertIn('exited (4); post_start hook "sh" exited with code 3', self.compose("history", "--runs").stdout)

    def test_before_the_stop(self):
        keys = "pre_stop: [{command: [sh, -c, 'echo stopping >>/notes/stop']}]"
        self.up(keys)
        self.compose("stop")
        self.assertEqual(self.read("stop"), "stopping\n")
        self.compose("start")
        self.compose("restart")
        self.assertEqual(self.read("stop").count("stopping"), 2)
        self.compose("kill")  # asks nobody
        self.assertEqual(self.read("stop").count("stopping"), 2)
        self.compose("start")
        self.compose("down")
        self.assertEqual(self.read("stop").count("stopping"), 3)

    def test_one_that_does_not_end_holds_nobody_up_for_ever(self):
        self.up("stop_grace_period: 1s\npre_stop: [{command: [sleep, '1000']}]")
        start = time.monotonic()
        stopped = self.compose("stop")
        self.assertLess(time.monotonic() - start, 6)
        self.assertIn('pre_stop hook "sleep" was killed', stopped.stderr)
        self.assertEqual(self.container("s")["state"], "exited")

    def test_a_shim_that_does_not_hear_holds_nobody_up_for_ever(self):
        self.up("stop_grace_period: 1s\npre_stop: [{command: [sh, -c, 'echo never >>/notes/stop']}]")
        id = self.container("s")["id"]
        shim = next(pid for pid, command in self.processes() if "composed-shim" in command and id in command)
        os.kill(shim, signal.SIGSTOP)
        stopped = self.compose("stop", timeout=30)
        self.assertIn('pre_stop hook "sh" does not end', stopped.stderr)
        self.assertEqual(self.container("s")["state"], "exited")

    def test_restart_policy_of_deploy(self):
        self.up("deploy: {restart_policy: {condition: on-failure, delay: 50ms, max_attempts: 4}}",
                command="sh -c 'date +%s >>/notes/starts; exit 1'")
        wait_until(lambda: self.container("s")["state"] == "exited" and self.read("starts").count("\n") == 5, 10, "four more attempts")
        time.sleep(0.5)
        self.assertEqual(self.read("starts").count("\n"), 5)
        self.assertEqual(self.container("s")["restart_count"], 4)

    def test_attempts_begin_anew_after_a_run_as_long_as_the_window(self):
        self.up("deploy: {restart_policy: {condition: any, delay: 10ms, max_attempts: 1, window: 300ms}}",
                command="sh -c 'echo x >>/notes/starts; sleep 0.4'")
        wait_until(lambda: self.read("starts").count("x") >= 4, 10, "more runs than attempts")
        self.up("deploy: {restart_policy: {condition: none}}", command="'true'")
        wait_until(lambda: self.container("s")["state"] == "exited", 10, "one run")
        self.assertEqual(self.container("s")["restart_count"], 0)


if __name__ == "__main__":
    unittest.main()
