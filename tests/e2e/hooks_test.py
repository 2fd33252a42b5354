"""Commands in a container after its start and before its stop, and what deploy.restart_policy says of restarts."""
import os
import time
import unittest

from harness import DaemonTest, wait_until


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

    def test_one_that_fails_is_told(self):
        failed = self.up("post_start: [{command: [sh, -c, 'echo no such schema >&2; exit 3']}]", check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn('post_start hook "sh" exited with code 3: no such schema', failed.stderr)
        self.assertEqual(self.container("s")["state"], "running")
        failed = self.up("post_start: [{command: [no-such-program]}]", check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn("no-such-program", failed.stderr)

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
