"""What was asked of a stack, what led there, and the way back."""
import json
import unittest

from harness import DaemonTest, wait_until

STACK = """name: r
services:
  web: {image: busybox, init: true, command: sleep 1000, environment: {LEVEL: %s, SECRET: hunter%s}, labels: {tier: front}}
  db: {image: busybox, init: true, command: sleep 1000}
"""


class RevisionTest(DaemonTest):
    def up(self, level, more=""):
        self.write(STACK % (level, level) + more)
        return self.compose("up", "-d").stderr

    def history(self):
        return json.loads(self.compose("history", "--format", "json").stdout)

    def level(self):
        return self.compose("exec", "-T", "web", "sh", "-c", "echo $LEVEL").stdout.strip()

    def test_each_up_that_changes_something_is_one(self):
        self.up("one")
        self.up("one")
        self.up("two", "  new: {image: busybox, init: true, command: sleep 1000}\n")
        first, second = self.history()
        self.assertEqual((first["revision"], second["revision"], first["user"]), (1, 2, 0))
        self.assertNotIn("differences", first)
        self.assertEqual({(each["action"], each["name"], each["reason"]) for each in first["steps"]},
                         {("create network", "r_default", "missing"), ("create container", "r-web-1", "missing"),
                          ("create container", "r-db-1", "missing"), ("start container", "r-web-1", "not running"),
                          ("start container", "r-db-1", "not running")})
        self.assertEqual(second["differences"],
                         [{"kind": "service", "name": "new", "change": "added", "details": []},
                          {"kind": "service", "name": "web", "change": "changed", "details": ["environment LEVEL", "environment SECRET"]}])
        self.assertIn(("create container", "r-web-1", "environment LEVEL, environment SECRET changed"),
                      {(each["action"], each["name"], each["reason"]) for each in second["steps"]})
        table = self.compose("history").stdout.splitlines()
        self.assertEqual(table[0].split(), ["REVISION", "CREATED", "USER", "CHANGES"])
        self.assertRegex(table[1], r"^2 .* root +service new added; service web changed: environment LEVEL, environment SECRET$")
        self.assertNotIn("hunter", json.dumps([first, second]) + "\n".join(table))

    def test_diff_says_what_up_would_do(self):
        self.up("one")
        self.assertEqual(self.compose("diff", "--exit-code").stdout, "")
        self.write(STACK.replace("db:", "cache:") % ("two", "two"))
        done = self.compose("diff", "--exit-code", check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(sorted(done.stdout.splitlines()),
                         ["create container r-cache-1: missing",
                          "recreate container r-web-1: environment LEVEL, environment SECRET changed"])
        self.assertIn("steps", json.loads(self.compose("diff", "--format", "json").stdout))
        self.assertEqual(self.level(), "one")
        self.compose("up", "-d", "--remove-orphans")
        self.assertEqual(self.compose("diff", "1").stdout.splitlines(),
                         ["service cache added", "service db removed", "service web changed: environment LEVEL, environment SECRET"])
        self.assertEqual(self.compose("diff", "2", "1").stdout.splitlines()[0], "service cache removed")
        self.assertEqual(self.compose("diff", "2", "2", "--exit-code").stdout, "")
        self.assertEqual(self.compose("diff", "1", "2", "--exit-code", check=False).returncode, 2)

    def test_rollback_brings_an_earlier_one_up_as_a_new_one(self):
        for level in "one", "two", "three":
            self.up(level)
        self.assertIn("Revision 4 is as revision 2 was", self.compose("rollback").stderr)
        self.assertEqual(self.level(), "two")
        self.assertIn("Revision 5 is as revision 1 was", self.compose("rollback", "1").stderr)
        self.assertEqual(self.level(), "one")
        self.assertEqual([each["revision"] for each in self.history()], [1, 2, 3, 4, 5])
        done = self.compose("rollback", "9", check=False)
        self.assertEqual((done.returncode, done.stderr), (1, 'project "r": revision 9 is not kept; there are 1 to 5\n'))

    def test_what_is_made_anew_without_another_definition_is_one_too(self):
        self.up("one")
        self.compose("up", "-d", "--force-recreate", "-t", "0", "web")
        self.compose("restart", "-t", "0", "web")
        self.up("one")
        self.assertEqual([each["revision"] for each in self.history()], [1, 2])
        self.assertEqual(self.history()[1]["differences"], [])
        self.assertRegex(self.compose("history").stdout.splitlines()[1], r"^2 .* root +recreate container r-web-1: asked for")

    def test_a_rollback_passes_over_what_has_failed(self):
        self.up("one")
        self.write((STACK % ("two", "two")).replace("busybox", "nosuch.invalid/x"))
        self.assertNotEqual(self.compose("up", "-d", check=False).returncode, 0)
        self.up("three")
        self.assertEqual([each.get("failed", False) for each in self.history()], [False, True, False])
        self.assertIn("(failed) ", self.compose("history").stdout)
        self.assertIn("Revision 4 is as revision 1 was", self.compose("rollback").stderr)
        self.assertEqual(self.level(), "one")
        refused = self.compose("rollback", "-1", check=False)
        self.assertNotIn("18446744073709551615", refused.stderr)

    def test_an_up_that_the_next_daemon_carries_on_has_its_plan_and_its_end(self):
        self.up("one")
        self.stop_daemon()
        arm, passed = self.folder / "arm", self.folder / "passed"
        self.program, self.environment = "composed-crash", {"COMPOSED_CRASH_ARM": str(arm), "COMPOSED_CRASH_LOG": str(passed)}
        self.start_daemon()
        arm.write_text("2")  # it has just committed that it was asked
        self.write((STACK % ("two", "two")).replace("command: sleep 1000}", "command: sleep 1}", 1).replace("busybox", "nosuch.invalid/x", 1))
        self.assertNotEqual(self.compose("up", "-d", check=False).returncode, 0)
        self.assertEqual((self.daemon.wait(5), passed.read_text().splitlines()[-1]), (-9, "store commit after"))
        arm.unlink()
        self.program = "composed"
        self.start_daemon()
        second = wait_until(lambda: next((each for each in self.history() if each.get("failed")), None), 10, "the end to be noted")
        self.assertEqual(second["revision"], 2)
        self.assertIn(("pull image", "nosuch.invalid/x", "missing"),
                      {(each["action"], each["name"], each["reason"]) for each in second["steps"]})

    def test_a_rollback_over_another_network_with_what_is_no_longer_there(self):
        # Each is on the network that changes, and one of them goes.
        self.write((STACK % ("one", "one")) + "  old: {image: busybox, init: true, command: sleep 1000}\n")
        self.compose("up", "-d")
        self.write((STACK % ("two", "two")) + "networks: {default: {internal: true}}\n")
        self.compose("up", "-d", "--remove-orphans", "-t", "0")
        self.assertEqual({each["service"] for each in self.containers()}, {"web", "db"})
        self.compose("rollback")
        self.assertEqual({each["service"]: each["state"] for each in self.containers()}, {"web": "running", "db": "running", "old": "running"})
        self.compose("rollback", "2", "--remove-orphans")
        self.assertEqual({each["service"]: each["state"] for each in self.containers()}, {"web": "running", "db": "running"})
        self.assertEqual([each.get("failed", False) for each in self.history()], [False] * 4)

    def test_the_last_twenty_are_kept_and_survive_the_daemon(self):
        for number in range(23):
            self.write(f"name: r\nservices: {{a: {{image: busybox, command: 'true', labels: {{n: '{number}'}}}}}}\n")
            self.compose("up", "--no-start")
        self.stop_daemon()
        self.start_daemon()
        self.assertEqual([each["revision"] for each in self.history()], list(range(4, 24)))
        self.compose("down")
        self.assertIn("there is none of that name", self.compose("history", check=False).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
