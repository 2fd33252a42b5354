"""A disk that is not mounted is never taken for an empty folder, whatever has become of the container that had it."""
import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

from harness import DaemonTest, wait_until

SLEEPER = "image: busybox, init: true, command: sleep 1000"


class MissingDiskTest(DaemonTest):
    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="composed-disk-"))
        self.addCleanup(subprocess.run, ["rm", "-rf", "--one-file-system", self.home])
        self.table = self.home / "fstab"
        self.table.write_text("")
        self.environment = {"LIBMOUNT_FSTAB": str(self.table)}  # the daemon's
        self.disk = self.home / "disk"
        self.disk.mkdir()
        super().setUp()

    @contextlib.contextmanager
    def mounted(self):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.disk], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", "-l", self.disk], check=True)

    def stack(self, source="disk/data", more=""):
        self.write(f"name: d\nservices:\n  db: {{{SLEEPER}, {more} volumes: ['{self.home / source}:/data']}}\n")

    def refused(self, *arguments):
        up = self.compose("up", "-d", *arguments, check=False)
        self.assertEqual(up.returncode, 1, up.stderr)
        self.assertEqual(list(self.disk.iterdir()), [], "nothing was made up")
        return up.stderr

    def test_a_disk_of_fstab_is_named_with_what_to_do(self):
        self.table.write_text(f"LABEL=data {self.disk} ext4 defaults,nofail 0 2\n")
        for source in "disk/data", "disk":
            self.stack(source)
            self.assertIn(f'service "db": bind source "{self.home / source}": /etc/fstab has a disk at {self.disk}, '
                          f"which is not mounted; mount it: mount {self.disk}", self.refused())
        with self.mounted():
            self.compose("up", "-d")
            self.assertEqual(self.container("db")["state"], "running")
            self.compose("down", "-t", "0")
        self.table.write_text(f"LABEL=other {self.home / 'other'} ext4 noauto 0 2\n")
        self.stack("other/data")
        self.compose("up", "-d")  # which is up to a person, and was never seen

    def test_what_was_learned_outlives_the_container_the_stack_and_the_daemon(self):
        self.stack()
        with self.mounted():
            self.compose("up", "-d")
            self.compose("exec", "-T", "db", "sh", "-c", "echo precious >/data/f")
            self.compose("stop", "-t", "0")
            kept = self.container("db")["id"]
            copied = (self.disk / "data/f").read_text()
        for change in "environment: {A: b},", "":
            self.stack(more=change)
            self.assertIn(f"what was mounted at {self.disk} when it was used before is not mounted", self.refused("--force-recreate"))
            self.assertEqual(self.container("db")["id"], kept, "nothing was touched")
        self.compose("down", "-t", "0")
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        self.assertIn("is not mounted", self.refused())
        self.stack("disk")
        self.assertIn("is not mounted", self.refused())
        # The disk has been given up, and the person says so.
        self.stack()
        (self.disk / "data").mkdir()
        (self.disk / "data/f").write_text(copied)
        self.assertEqual(self.compose("up", "-d", check=False).returncode, 1)
        self.compose("up", "-d", "--force-recreate")
        self.assertEqual(self.compose("exec", "-T", "db", "cat", "/data/f").stdout, "precious\n")
        self.compose("down", "-t", "0")
        self.compose("up", "-d")

    def test_a_volume_of_a_folder_on_a_disk(self):
        self.table.write_text(f"/dev/none {self.disk} ext4 defaults 0 2\n")
        self.write(f"name: d\nservices:\n  db: {{{SLEEPER}, volumes: ['v:/data']}}\n"
                   f"volumes: {{v: {{driver_opts: {{type: none, o: bind, device: '{self.disk}'}}}}}}\n")
        self.assertIn(f'volume "d_v": driver_opts.device "{self.disk}": /etc/fstab has a disk at {self.disk}', self.refused())
        self.table.write_text("")
        with self.mounted():
            self.compose("up", "-d")
            self.compose("down", "-v", "-t", "0")
        self.assertIn(f"what was mounted at {self.disk}", self.refused())

    def test_one_that_comes_late_is_waited_for(self):
        self.table.write_text(f"LABEL=data {self.disk} ext4 defaults 0 2\n")
        self.stack(more="restart: always,")
        with self.mounted():
            self.compose("up", "-d")
        self.stop_daemon(signal.SIGKILL)
        for pid, _ in list(self.processes()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not list(self.processes()), 10, "all processes to be gone")
        self.start_daemon()
        wait_until(lambda: "/etc/fstab has a disk" in self.container("db").get("error", ""), 10, "the disk to be missed")
        with self.mounted():
            (self.disk / "data").mkdir()
            self.wait_for_state("db", "running")
            self.compose("down", "-t", "0")


if __name__ == "__main__":
    unittest.main(verbosity=2)
