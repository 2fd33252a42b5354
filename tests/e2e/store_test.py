"""The store: files that earlier versions have written, files of later ones, and damaged ones."""
import contextlib
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import unittest

from harness import BIN, DaemonTest, busybox_archive, wait_until

KEPT = pathlib.Path(__file__).parent / "kept"


def schema_of(file):
    with contextlib.closing(sqlite3.connect(file)) as store:
        return store.execute("PRAGMA user_version").fetchone()[0]


class KeptTest(DaemonTest):
    """kept/schema-N.db is what the last version with that schema had written of kept/compose.yaml: brought up, changed, stopped."""

    def begin_with(self, kept):
        shutil.rmtree(self.state)
        # The folders that belonged to it, but for the image.
        (self.state / "volume/kept_data/_data").mkdir(parents=True)
        shutil.copy(kept, self.state / "state.db")
        shutil.copy(KEPT / "compose.yaml", self.project)
        with contextlib.closing(sqlite3.connect(kept)) as store:
            self.names = sorted(name for (name,) in store.execute("SELECT json_extract(value, '$.name') FROM container"))
        self.start_daemon()

    def test_the_store_of_each_earlier_version_is_taken_over(self):
        self.stop_daemon()
        kept = sorted(KEPT.glob("schema-*.db"))
        # The schema of today is the last of them: whoever raises it keeps a file of the one before.
        self.assertEqual([schema_of(each) for each in kept], list(range(1, schema_of(self.state / "state.db") + 1)))
        for each in kept:
            with self.subTest(file=each.name):
                self.begin_with(each)
                self.assertEqual(self.names, ["kept-db-1", "kept-job-1", "kept-web-1"])
                found = {each["service"]: each for each in self.containers()}
                self.assertEqual(sorted(each["name"] for each in found.values()), self.names)
                self.assertEqual(found["db"]["state"], "exited")
                self.assertIn("kept", self.compose("ls", "-a", "-q").stdout.split())
                self.assertTrue(self.api("/projects/kept/revisions"))
                self.compose("load", "-i", str(busybox_archive()))
                self.compose("up", "-d")
                self.wait_for_state("web", "running")
                self.wait_for_state("db", "running")
                self.stop_daemon()
                self.assertEqual(schema_of(self.state / "state.db"), len(kept))
                self.start_daemon()
                self.compose("down", "-v", "-t", "0")
                self.stop_daemon()


class DamageTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.write("name: b\nservices:\n" + "".join(f"  s{n:02}: {{image: busybox, init: true, command: sleep 1000, restart: always}}\n"
                                                  for n in range(12)))
        self.compose("up", "-d")
        self.pids = {each["name"]: each["pid"] for each in self.containers()}

    def copy_has_all(self):
        with contextlib.closing(sqlite3.connect(self.state / "state.db.copy")) as copy:
            return copy.execute("SELECT count(*) FROM container").fetchone() == (len(self.pids),)

    def refused(self):
        done = subprocess.run([BIN / "composed", *self.flags()], text=True, capture_output=True, timeout=20)
        self.assertEqual(done.returncode, 1, done.stderr)
        return done.stderr

    def flags(self):
        return "--instance", self.instance, "--state", self.state, "--run", self.run_folder, "--config", "/dev/null"

    def repair(self):
        done = subprocess.run([BIN / "composed", *self.flags(), "--repair-store"], text=True, capture_output=True, timeout=20)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def damage(self, pages):
        """Of the file as it is after its end, with nothing in the log beside it."""
        with contextlib.closing(sqlite3.connect(self.state / "state.db")) as store:
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            size = store.execute("PRAGMA page_size").fetchone()[0]
            count = store.execute("PRAGMA page_count").fetchone()[0]
        content = bytearray((self.state / "state.db").read_bytes())
        for page in pages(count):
            for at in range(page * size, page * size + 200):
                content[at] ^= 0x5A
        (self.state / "state.db").write_bytes(content)

    def all_go_on(self):
        for name, pid in self.pids.items():
            os.kill(pid, 0)

    def test_a_damaged_store_is_refused_while_containers_go_on_and_can_be_repaired(self):
        for name, pages in (("some", lambda count: range(count // 2, count // 2 + 3)), ("every other", lambda count: range(1, count, 2)),
                            ("the head", lambda count: [0])):
            with self.subTest(pages=name):
                wait_until(self.copy_has_all, 20, "the copy to have all containers")
                self.stop_daemon(signal.SIGKILL)
                self.damage(pages)
                message = self.refused()
                self.assertIn("is damaged", message)
                self.assertIn("containers go on meanwhile", message)
                self.assertIn(f"composed --repair-store --state {self.state}", message)
                self.all_go_on()
                report = self.repair()
                self.assertIn("from the copy", report)
                self.assertIn("damaged-", report)
                self.start_daemon()
                self.assertEqual({each["name"]: each["pid"] for each in self.containers()}, self.pids)
                self.assertIn("Running", self.compose("up", "-d").stderr)
                self.assertEqual({each["name"]: each["pid"] for each in self.containers()}, self.pids, "nothing was made anew")
        self.assertEqual(len(list(self.state.glob("state.db.damaged-?"))), 3)

    def test_an_empty_or_missing_store_is_no_new_one(self):
        for how in "empty", "missing":
            with self.subTest(how):
                wait_until(self.copy_has_all, 20, "the copy to have all containers")
                self.stop_daemon(signal.SIGKILL)
                for part in "", "-wal", "-shm":
                    (self.state / f"state.db{part}").unlink(missing_ok=True)
                if how == "empty":
                    (self.state / "state.db").touch()
                before = (self.state / "state.db.copy").read_bytes()
                message = self.refused()
                self.assertIn("is empty or was missing", message)
                self.assertIn(f"composed --repair-store --state {self.state}", message)
                self.all_go_on()
                self.assertEqual((self.state / "state.db.copy").read_bytes(), before)
                self.assertIn("from the copy", self.repair())
                self.start_daemon()
                self.assertEqual({each["name"]: each["pid"] for each in self.containers()}, self.pids)

    def test_a_whole_store_is_left_as_it_is(self):
        self.stop_daemon()
        self.assertIn("nothing to repair", self.repair())
        self.assertEqual(list(self.state.glob("state.db.damaged-*")), [])
        self.start_daemon()

    def test_what_was_removed_since_the_copy_does_not_come_back(self):
        self.stop_daemon()
        self.start_daemon()
        self.write("name: b\nservices: {s00: {image: busybox, init: true, command: sleep 1000, restart: always}}\n")
        self.compose("up", "-d", "--remove-orphans", "-t", "0")
        self.stop_daemon(signal.SIGKILL)
        report = self.repair()
        self.assertNotIn("from the copy", report)
        self.start_daemon()
        self.assertEqual([each["name"] for each in self.containers()], ["b-s00-1"])

    def test_while_a_daemon_runs_nothing_is_repaired(self):
        done = subprocess.run([BIN / "composed", *self.flags(), "--repair-store"], text=True, capture_output=True, timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another composed", done.stderr)

    def test_a_store_of_a_later_version_is_refused_while_containers_go_on(self):
        self.stop_daemon()
        ours = schema_of(self.state / "state.db")
        with contextlib.closing(sqlite3.connect(self.state / "state.db")) as store:
            store.execute("PRAGMA user_version = 99")
            store.commit()
        self.assertIn("was written by a newer composed (schema 99", self.refused())
        self.all_go_on()
        with contextlib.closing(sqlite3.connect(self.state / "state.db")) as store:
            store.execute(f"PRAGMA user_version = {ours}")
            store.commit()
        self.start_daemon()
        self.assertEqual({each["name"]: each["pid"] for each in self.containers()}, self.pids)


if __name__ == "__main__":
    unittest.main(verbosity=2)
