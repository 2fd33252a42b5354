"""Profiles while a stack lives: what they bring up, and what is done to services whose profile is off."""
import unittest

from harness import DaemonTest

SLEEP = "image: busybox, init: true, command: sleep 1000"
FILE = f"""
name: prof
services:
  web: {{{SLEEP}}}
  tool: {{{SLEEP}, profiles: [debug], depends_on: [web]}}
  seed: {{{SLEEP}, profiles: [data]}}
  both: {{{SLEEP}, profiles: [debug, data]}}
  needs-tool: {{{SLEEP}, profiles: [other], depends_on: [tool]}}
"""


class ProfilesTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.write(FILE)

    def running(self):
        return {each["service"] for each in self.containers() if each["state"] == "running"}

    def there(self):
        return {each["service"] for each in self.containers()}

    def test_what_is_brought_up(self):
        self.compose("up", "-d")
        self.assertEqual(self.running(), {"web"})
        self.compose("--profile", "debug", "up", "-d")
        self.assertEqual(self.running(), {"web", "tool", "both"})
        self.compose("up", "-d", env={"COMPOSE_PROFILES": "data"})
        self.assertEqual(self.running(), {"web", "tool", "both", "seed"})  # the others stay as they are
        self.compose("down", "-t", "0", env={"COMPOSE_PROFILES": "debug,data"})
        self.assertEqual(self.there(), set())
        # The flag is over the variable.
        self.compose("--profile", "data", "up", "-d", env={"COMPOSE_PROFILES": "debug"})
        self.assertEqual(self.running(), {"web", "both", "seed"})
        self.compose("--profile", "*", "up", "-d")
        self.assertEqual(self.running(), {"web", "tool", "both", "seed", "needs-tool"})

    def test_who_is_named_is_on(self):
        self.compose("up", "-d", "tool")  # with what it depends on
        self.assertEqual(self.running(), {"web", "tool"})
        # What it depends on is not put on by that.
        done = self.compose("up", "-d", "needs-tool", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("tool", done.stderr)
        self.compose("run", "--rm", "seed", "true")
        self.assertEqual(self.running(), {"web", "tool"})
        # An `up` without it leaves it, and it is no orphan.
        self.assertNotIn("orphan", self.compose("up", "-d", "--remove-orphans").stderr)
        self.assertEqual(self.running(), {"web", "tool"})

    def test_what_is_done_to_services_whose_profile_is_off(self):
        self.compose("--profile", "debug", "up", "-d")
        self.compose("up", "-d")  # off from now on
        for words in ["ps"], ["ps", "tool"], ["logs", "tool"], ["top", "tool"]:
            self.assertEqual(self.compose(*words).returncode, 0)
        self.assertIn("prof-tool-1", self.compose("ps").stdout)
        self.compose("restart", "-t", "0", "tool")
        self.assertIn("tool", self.running())
        self.compose("exec", "-T", "tool", "true")
        self.compose("stop", "-t", "0", "tool")
        self.assertEqual(self.running(), {"web", "both"})
        self.compose("start", "tool")
        self.assertEqual(self.running(), {"web", "tool", "both"})
        self.compose("stop", "-t", "0")
        self.assertEqual(self.running(), set())
        self.compose("start")  # those that are on
        self.assertEqual(self.running(), {"web"})
        self.compose("rm", "-s", "-f", "tool")
        self.assertNotIn("tool", self.there())
        # down leaves nothing of the stack behind, whatever is on now.
        self.compose("down", "-t", "0")
        self.assertEqual(self.there(), set())
        for name in "none", "to ol":
            self.assertEqual(self.compose("up", "-d", name, check=False).returncode, 1)


if __name__ == "__main__":
    unittest.main()
