"""What containers print: kept within bounds, read back whole and in order, followed."""
import os
import re
import subprocess
import unittest

from harness import BIN, DaemonTest, wait_until

LINES = 1_000_000  # of 100 bytes


class LogsTest(DaemonTest):
    def service(self, command):
        self.write("name: logs\nservices:\n  s:\n    image: busybox\n    init: true\n    command:\n      - sh\n      - -c\n"
                   f"      - |\n        {command}\n")

    def lines(self, *arguments):
        return self.compose("logs", "--no-color", "--no-log-prefix", *arguments).stdout.splitlines()

    def log_files(self):
        return sorted((self.state / "container" / self.container("s")["id"]).glob("*.log*"))

    def test_100_mb_are_rotated_and_read_back_in_order(self):
        self.service(f"""awk 'BEGIN {{ for (i = 1; i <= {LINES}; i++) printf "%099d\\n", i }}'; sleep 1000""")
        self.compose("up", "-d")
        wait_until(lambda: self.lines("-n", "1") == [f"{LINES:099}"], 60, "the last line to be written")
        sizes = [path.stat().st_size for path in self.log_files()]
        self.assertLessEqual(len(sizes), 3)
        self.assertLessEqual(max(sizes), (10 << 20) + 300)
        self.assertGreater(sum(sizes), 20_000_000, "two files are full")
        numbers = [int(line) for line in self.lines()]
        self.assertEqual(numbers, list(range(numbers[0], LINES + 1)), "no hole, nothing twice")
        self.assertGreater(len(numbers), 100_000)
        self.assertEqual([int(line) for line in self.lines("-n", "5")], list(range(LINES - 4, LINES + 1)))

    def test_following_loses_nothing_over_rotation_and_restarts(self):
        lines, runs = 70_000, 3  # a run fills more than one file
        self.write("name: logs\nservices:\n  s:\n    image: busybox\n    restart: always\n    command:\n      - awk\n"
                   f"""      - 'BEGIN {{ for (i = 1; i <= {lines}; i++) printf "%099d\\n", i }}'\n""")
        self.compose("up", "--no-start")
        self.compose("start")
        seen = self.folder / "followed"
        with open(seen, "w") as output:
            follower = subprocess.Popen([BIN / "compose", "logs", "-f", "--no-color", "--no-log-prefix"], cwd=self.project,
                                        stdout=output,
                                        env={**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"})
        try:
            wait_until(lambda: seen.stat().st_size >= runs * lines * 100, 60, "three runs to be followed")
        finally:
            follower.kill()
            follower.wait()
        printed = seen.read_text().splitlines()
        self.assertGreaterEqual(printed.count("s-1 exited with code 0 (restarting)"), runs - 1)
        numbers = [int(line) for line in printed if line.isdigit()]
        self.assertEqual(numbers[:runs * lines], runs * list(range(1, lines + 1)))

    def test_both_streams_and_timestamps(self):
        self.service("echo out; echo err >&2; printf 'no newline'; sleep 1000")
        self.compose("up", "-d")
        wait_until(lambda: len(self.lines()) >= 2, 10, "the lines")
        self.assertIn("out", self.lines())
        self.assertIn("err", self.lines())
        stamped = self.compose("logs", "-t", "--no-color", "--no-log-prefix").stdout.splitlines()
        for line in stamped:
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z ")
        prefixed = self.compose("logs", "--no-color").stdout.splitlines()
        self.assertTrue(all(re.match(r"s-1 +\| ", line) for line in prefixed), prefixed)

    def test_logs_of_an_ended_container_are_whole(self):
        self.service("printf 'a\\nlast without a newline'")
        self.compose("up", "-d")
        self.wait_for_state("s", "exited")
        self.assertEqual(self.lines(), ["a", "last without a newline"])

    def test_an_unknown_service_is_an_error(self):
        self.service("sleep 1000")
        self.compose("up", "-d")
        done = self.compose("logs", "nobody", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("nobody", done.stderr)


if __name__ == "__main__":
    unittest.main()
