"""Stacks that nobody brings up by hand: files in the daemon's folder."""
import shutil
import signal
import time
import unittest

from harness import DaemonTest, wait_until

SLEEP = "image: busybox, init: true, command: sleep 1000"


class StacksTest(DaemonTest):
    def setUp(self):
        self.stacks = None
        super().setUp()

    def start_daemon(self):
        self.stacks = self.folder / "stacks"
        self.arguments = ("--stacks", str(self.stacks))
        super().start_daemon()

    def clean_up(self):
        shutil.rmtree(self.stacks, ignore_errors=True)  # or it would bring up again what the clean-up takes down
        super().clean_up()

    def stack(self, name, text):
        """Written as an editor does, beside it and renamed."""
        folder = self.stacks / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "new").write_text(text)
        (folder / "new").rename(folder / "compose.yaml")

    def state_of(self, project):
        return {each["service"]: each["state"] for each in self.containers() if each["project"] == project}

    def wait_for(self, project, states, seconds=10):
        wait_until(lambda: self.state_of(project) == states, seconds, f"{project} to be {states}")

    def restart_daemon(self):
        self.stop_daemon(signal.SIGTERM)
        self.start_daemon()

    def test_they_come_up_change_and_go_with_their_files(self):
        self.stacks.mkdir()
        self.restart_daemon()  # or the folder is seen half a minute later
        self.stack("shop", f"services:\n  web: {{{SLEEP}}}\n")
        self.wait_for("shop", {"web": "running"})
        self.assertIn("managed by file", self.compose("ls").stdout)
        (self.stacks / "shop" / ".env").write_text("COUNT=1000\n")
        self.stack("shop", f"services:\n  db: {{image: busybox, init: true, command: 'sleep ${{COUNT:?}}'}}\n  web: {{{SLEEP}}}\n")
        self.wait_for("shop", {"web": "running", "db": "running"})
        self.stack("shop", f"services:\n  db: {{{SLEEP}}}\n")
        self.wait_for("shop", {"db": "running"})
        self.assertEqual(len(self.api("/projects/shop/revisions")), 3)
        shutil.rmtree(self.stacks / "shop")
        self.wait_for("shop", {})
        wait_until(lambda: not self.api("/projects"), 5, "the project to be gone")

    def test_they_come_up_when_the_daemon_starts_and_what_runs_goes_on(self):
        self.stack("one", f"services:\n  web: {{{SLEEP}}}\n  job: {{image: busybox, command: 'true'}}\n")
        self.stack("two", f"services:\n  web: {{{SLEEP}}}\n")
        self.restart_daemon()
        self.wait_for("one", {"web": "running", "job": "exited"})
        self.wait_for("two", {"web": "running"})
        before = sorted((each["id"], each.get("started")) for each in self.containers())
        self.restart_daemon()
        time.sleep(0.5)
        self.assertEqual(sorted((each["id"], each.get("started")) for each in self.containers()), before)
        self.stop_daemon()
        shutil.rmtree(self.stacks / "two")
        self.start_daemon()
        self.wait_for("two", {})
        self.wait_for("one", {"web": "running", "job": "exited"})
        # Without the whole folder nothing is taken down: its disk is not mounted.
        self.stop_daemon()
        self.stacks.rename(self.folder / "away")
        self.start_daemon()
        time.sleep(0.5)
        self.assertEqual(self.state_of("one"), {"web": "running", "job": "exited"})
        (self.folder / "away").rename(self.stacks)

    def test_a_wrong_file_changes_nothing_and_is_told(self):
        self.stack("shop", f"services:\n  web: {{{SLEEP}}}\n")
        self.restart_daemon()
        self.wait_for("shop", {"web": "running"})
        self.stack("shop", "services:\n  web: {imagge: busybox}\n")
        problems = wait_until(lambda: self.api("/projects/shop/repairs")["problems"], 5, "the problem")
        self.assertIn("imagge", problems[0])
        self.assertIn("compose.yaml:2:9", problems[0])
        self.assertEqual(self.state_of("shop"), {"web": "running"})
        self.assertIn("problem:", self.compose("-p", "shop", "ps").stderr)
        self.stack("shop", f"services:\n  web: {{{SLEEP}}}\n  db: {{{SLEEP}}}\n")
        self.wait_for("shop", {"web": "running", "db": "running"})
        self.assertEqual(self.api("/projects/shop/repairs")["problems"], [])

    def test_up_and_down_by_hand_say_whose_it_is(self):
        self.stack("shop", f"services:\n  web: {{{SLEEP}}}\n")
        self.restart_daemon()
        self.wait_for("shop", {"web": "running"})
        file = str(self.stacks / "shop" / "compose.yaml")
        self.write(f"name: shop\nservices:\n  web: {{{SLEEP}}}\n  more: {{{SLEEP}}}\n")
        self.assertIn(f"managed by {file}", self.compose("up", "-d").stderr)
        self.compose("-f", file, "-p", "shop", "up", "-d", "--remove-orphans")
        said = self.compose("-f", file, "-p", "shop", "down", "-t", "0").stderr
        self.assertIn(f"managed by {file}: it comes up again", said)
        self.restart_daemon()
        self.wait_for("shop", {"web": "running"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
