"""Services that run by a schedule: x-composed: {schedule: …}."""
import json
import signal
import time
import unittest

from harness import DaemonTest, wait_until

JOB = """
  job:
    image: busybox
    init: true
    command: sh -c "{command}"
    x-composed: {{schedule: "{when}"{more}}}
"""


class ScheduleTest(DaemonTest):
    def up(self, when="@every 1s", command="date", more="", rest=""):
        self.write("name: sched\nservices:" + JOB.format(when=when, command=command, more=more) + rest)
        return self.compose("up", "-d")

    def runs(self):
        return json.loads(self.compose("history", "--runs", "--format", "json").stdout)

    def wait_for_runs(self, count, seconds=15):
        return wait_until(lambda: (runs := [r for r in self.runs() if "finished" in r or "error" in r]) and len(runs) >= count and runs,
                          seconds, f"{count} runs")

    def test_it_waits_for_its_time(self):
        done = self.up("0 3 * * *", rest="  web: {image: busybox, init: true, command: sleep 1000}\n")
        self.assertEqual(self.container("job")["state"], "created", done.stderr)
        self.assertRegex(self.container("job")["schedule"]["next"], r"^20\d\d-")
        line = next(each for each in self.compose("ps").stdout.splitlines() if "sched-job-1" in each)
        self.assertRegex(line, r"Scheduled: next run in .* \(20\d\d-\d\d-\d\d 03:00:00\)")
        # Once more there is nothing to do; --wait does not wait for it; restart and start leave it.
        self.assertEqual(self.api("/projects/sched")["revision"], 1)
        self.compose("up", "-d", "--wait")
        self.compose("restart", "-t", "0")
        self.compose("start")
        self.assertEqual(self.container("job")["state"], "created")
        self.assertEqual(self.runs(), [])
        self.assertIn("SERVICE", self.compose("history", "--runs").stdout)
        # By hand it runs at once.
        self.assertRegex(self.compose("run", "--rm", "job").stdout, r"UTC|\d\d:\d\d")
        self.assertEqual(self.compose("history", "--runs", "web", check=False).returncode, 1)
        # rm removes what has ended, and this has not.
        self.compose("rm", "-f")
        self.assertEqual(self.container("job")["state"], "created")

    def test_runs_and_their_history(self):
        self.up(command="echo ran; exit 3")
        runs = self.wait_for_runs(3)
        self.assertEqual({each["exit_code"] for each in runs}, {3})
        self.assertEqual(len({each["due"] for each in runs}), len(runs))
        for each in runs:
            self.assertLess(each["due"], each["started"])
            self.assertLess(each["started"], each["finished"])
        table = self.compose("history", "--runs", "job").stdout.splitlines()
        self.assertRegex(table[1], r"^job +20\d\d-.* s +exited \(3\)|starting|running")
        self.assertIn("last exited (3)", self.compose("ps").stdout + "last exited (3)" * (self.container("job")["state"] == "running"))
        self.assertGreaterEqual(self.compose("logs", "job").stdout.count("ran"), 3)
        # Stopped with its stack it does not run; started it does again.
        self.compose("stop", "-t", "0")
        count = len(self.runs())
        time.sleep(2.5)
        self.assertEqual(len(self.runs()), count)
        self.assertNotIn("next", self.container("job")["schedule"])
        self.compose("start")
        self.wait_for_runs(count + 2)
        # Another schedule makes no other container, and an `up` of the same changes nothing.
        before = self.container("job")["id"]
        self.up("0 3 1 1 *", command="echo ran; exit 3")
        self.assertEqual(self.container("job")["id"], before)
        self.assertGreaterEqual(len(self.runs()), count + 2)
        self.compose("down", "-t", "0")
        self.assertEqual(self.containers(), [])

    def test_due_while_it_runs(self):
        self.up(command="sleep 3.5")
        first = self.wait_for_runs(1)[0]
        self.assertGreaterEqual(first["skipped"], 1)
        self.assertEqual(first["exit_code"], 0)
        self.up(command="trap 'exit 7' TERM; sleep 1000 & wait", more=", overlap: replace", when="@every 2s")
        replaced = wait_until(lambda: [r for r in self.runs() if r.get("exit_code") == 7], 15, "a run to be replaced")
        self.assertEqual(replaced[0]["skipped"], 0)

    def test_the_daemon_dies_while_it_runs(self):
        self.up("@every 3s", command="sleep 2.5; exit 5")
        wait_until(lambda: self.container("job")["state"] == "running", 10, "the run")
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        first = self.wait_for_runs(1)[0]
        self.assertEqual((first["exit_code"], first["skipped"]), (5, 0))
        self.assertGreater(first["started"], first["due"])

    def test_it_ends_while_no_daemon_is_there(self):
        self.up("@every 2s", command="sleep 1; exit 6")
        wait_until(lambda: self.container("job")["state"] == "running", 10, "the run")
        self.stop_daemon(signal.SIGKILL)
        time.sleep(1.5)
        self.start_daemon()
        self.assertEqual(self.wait_for_runs(1)[0]["exit_code"], 6)

    def test_what_a_daemon_that_was_down_has_missed(self):
        # An hour ago by the daemon's record: it was due often since.
        for policy, expected in ("run-once", {"exit_code": 0}), ("skip", {"error": "missed: composed did not run then"}):
            with self.subTest(policy):
                self.up("@every 10m", more=f", missed: {policy}")
                self.stop_daemon()
                self.set_back(3600)
                self.start_daemon()
                [run] = self.wait_for_runs(1)
                self.assertEqual({key: run.get(key) for key in expected}, expected)
                self.compose("down", "-t", "0")

    def set_back(self, seconds):
        import sqlite3
        with sqlite3.connect(self.state / "state.db") as store:
            [[text]] = store.execute("SELECT value FROM project WHERE key = 'sched'").fetchall()
            record = json.loads(text)
            record["schedules"]["job"]["after"] -= seconds * 1000
            store.execute("UPDATE project SET value = ? WHERE key = 'sched'", [json.dumps(record)])
        store.close()

    def test_what_it_cannot_start(self):
        self.write("name: sched\nservices: {job: {image: busybox, command: /none, x-composed: {schedule: '@every 1s'}}}")
        self.compose("up", "-d")
        first = self.wait_for_runs(2)[0]
        self.assertIn("/none", first["error"])
        self.assertNotIn("exit_code", first)

    def test_what_a_file_cannot_say(self):
        def refused(text):
            self.write("name: sched\nservices:\n" + text)
            done = self.compose("up", "-d", check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            return done.stderr

        self.assertRegex(refused("  job:\n    image: busybox\n    x-composed:\n      schedule: 0 25 * * *\n"),
                         r'compose.yaml:6:\d+: services.job.x-composed.schedule: "0 25 \* \* \*" is no schedule: "25" is no hour')
        text = refused("  job: {image: busybox, restart: always, scale: 2, x-composed: {schedule: '@daily', missed: never, overlap: no-way}}\n"
                       "  web: {image: busybox, depends_on: [job]}\n")
        for word in ("services.job.restart", "services.job.scale", "services.job.x-composed.missed", "services.job.x-composed.overlap",
                     'services.web.depends_on[0]: service "job" runs by its schedule'):
            self.assertIn(word, text)


if __name__ == "__main__":
    unittest.main()
