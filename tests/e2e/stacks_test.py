"""Stacks that nobody brings up by hand: files in the daemon's folder."""
import os
import resource
import shutil
import signal
import socket
import subprocess
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

    def test_a_file_whose_update_has_failed_is_not_tried_again_before_it_changes(self):
        self.stacks.mkdir()
        self.restart_daemon()
        text = ("services:\n  web: {image: busybox, init: true, command: %s, deploy: {update_config: {monitor: 100ms, order: start-first, "
                "failure_action: rollback}}}\n")
        self.stack("shop", text % "sleep 1000")
        self.wait_for("shop", {"web": "running"})
        self.stack("shop", text % "'false'")
        wait_until(lambda: len(self.api("/projects/shop/revisions")) == 3, 10, "the way back")
        self.restart_daemon()
        time.sleep(1)
        self.assertEqual(len(self.api("/projects/shop/revisions")), 3)
        self.assertEqual(self.state_of("shop"), {"web": "running"})
        self.stack("shop", text % "sleep 2000")
        wait_until(lambda: len(self.api("/projects/shop/revisions")) == 4, 10, "the next one")

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

    def problem(self, part, project="shop"):
        return wait_until(lambda: next((each for each in self.api(f"/projects/{project}/repairs")["problems"] if part in each), None), 5, part)

    def test_what_cannot_be_read_is_not_taken_down(self):
        away = self.folder / "away.yaml"
        away.write_text(f"services:\n  web: {{{SLEEP}}}\n")
        (self.stacks / "shop").mkdir(parents=True)
        (self.stacks / "shop" / "compose.yaml").symlink_to(away)
        (self.folder / "linked").mkdir()
        shutil.copy(away, self.folder / "linked" / "compose.yaml")
        (self.stacks / "linked").symlink_to(self.folder / "linked")
        self.restart_daemon()
        self.wait_for("shop", {"web": "running"})
        self.wait_for("linked", {"web": "running"})
        before = {each["id"] for each in self.containers()}
        away.rename(self.folder / "gone.yaml")
        (self.folder / "linked").rename(self.folder / "gone")
        (self.stacks / "shop" / "anything").touch()
        self.problem("is its disk mounted?")
        self.problem("is its disk mounted?", "linked")
        (self.folder / "gone.yaml").rename(away)
        (self.folder / "gone").rename(self.folder / "linked")
        self.compose("-p", "shop", "stop", "-t", "0")  # and that what is read again stays as a person has left it
        (self.stacks / "shop" / "anything").unlink()
        wait_until(lambda: not self.api("/projects/shop/repairs")["problems"], 5, "the problem to be over")
        # A daemon without a descriptor to read the folder with.
        limit = resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE, (3, limit[1]))  # those that are open stay
        (self.stacks / "shop" / "anything").touch()
        wait_until(lambda: "has no stacks or cannot be read" in (self.folder / "log").read_text(), 5, "a look without descriptors")
        resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE, limit)
        time.sleep(0.5)
        self.assertEqual({each["id"] for each in self.containers()}, before)
        self.assertEqual(self.state_of("shop"), {"web": "exited"})

    def test_a_disk_that_is_not_mounted_takes_nothing_down(self):
        self.stop_daemon()
        self.stacks.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.stacks], check=True)
        try:
            self.start_daemon()
            self.stack("shop", f"services:\n  web: {{{SLEEP}}}\n")
            self.wait_for("shop", {"web": "running"})
        finally:
            subprocess.run(["umount", "-l", self.stacks], check=True)
        before = [each["id"] for each in self.containers()]
        self.restart_daemon()
        self.problem("is its disk mounted?")
        self.assertEqual([each["id"] for each in self.containers()], before)
        self.stack("shop", f"services:\n  web: {{{SLEEP}}}\n")
        wait_until(lambda: not self.api("/projects/shop/repairs")["problems"], 5, "the problem to be over")
        shutil.rmtree(self.stacks / "shop")  # and this is no disk that is missing
        self.wait_for("shop", {})

    def test_a_port_that_is_taken_is_told_and_tried_again(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.stack("shop", f"services:\n  web: {{{SLEEP}, restart: always, ports: ['127.0.0.1:{port}:80']}}\n")
            self.restart_daemon()
            self.problem("is taken by")
        (self.stacks / "shop" / "anything").touch()  # or it is half a minute
        self.wait_for("shop", {"web": "running"})
        self.assertEqual(self.api("/projects/shop/repairs")["problems"], [])
        # By its own former name, too.
        (self.stacks / "shop").rename(self.stacks / "other")
        self.wait_for("other", {"web": "running"})
        self.wait_for("shop", {})

    def test_a_new_file_does_not_wait_for_what_the_last_one_waits_for(self):
        ill = "healthcheck: {test: 'false', interval: 1s, start_period: 1h}"
        self.stack("shop", f"services:\n  db: {{{SLEEP}, {ill}}}\n  web: {{{SLEEP}, depends_on: {{db: {{condition: service_healthy}}}}}}\n")
        self.restart_daemon()
        self.wait_for("shop", {"db": "running", "web": "created"})
        self.stack("shop", f"services:\n  db: {{{SLEEP}}}\n  web: {{{SLEEP}, depends_on: [db]}}\n")
        self.wait_for("shop", {"db": "running", "web": "running"})
        self.assertEqual(self.api("/projects/shop/repairs")["problems"], [])

    def test_a_file_that_is_being_written_is_waited_for(self):
        self.stack("shop", f"services:\n  web: {{{SLEEP}}}\n  db: {{{SLEEP}}}\n")
        self.restart_daemon()
        self.wait_for("shop", {"web": "running", "db": "running"})
        before = {each["id"] for each in self.containers()}
        with open(self.stacks / "shop" / "compose.yaml", "w") as file:
            file.write(f"services:\n  web: {{{SLEEP}}}\n")  # a slow copy: what is there is a stack by itself
            file.flush()
            time.sleep(1)
            self.assertEqual({each["id"] for each in self.containers()}, before)
            file.write(f"  db: {{{SLEEP}}}\n  more: {{{SLEEP}}}\n")
        self.wait_for("shop", {"web": "running", "db": "running", "more": "running"})
        self.assertLess(before, {each["id"] for each in self.containers()})

    def test_a_pipe_is_no_file_and_does_not_hold_up_others(self):
        (self.stacks / "pipe").mkdir(parents=True)
        os.mkfifo(self.stacks / "pipe" / "compose.yaml")
        self.stack("shop", f"services:\n  web: {{{SLEEP}}}\n")
        self.restart_daemon()
        self.wait_for("shop", {"web": "running"})
        self.problem("is no file", "pipe")

    def test_a_service_that_goes_leaves_its_network_free_to_change(self):
        self.stack("shop", f"services:\n  web: {{{SLEEP}}}\n  old: {{{SLEEP}}}\n")
        self.restart_daemon()
        self.wait_for("shop", {"web": "running", "old": "running"})
        self.stack("shop", f"services:\n  web: {{{SLEEP}}}\nnetworks: {{default: {{internal: true}}}}\n")
        self.wait_for("shop", {"web": "running"})
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
