"""Logs: rotation under a flood, following over rotation and restarts, streams, timestamps."""
import contextlib
import gzip
import json
import os
import re
import subprocess
import unittest

from harness import BIN, DaemonTest, wait_until

MEGABYTE = 1 << 20
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")

PADDING = "x" * 88

# A hundred bytes a line: the run's number, the line's, padding. The container's own file counts its runs.
WRITER = """\
      - sh
      - -c
      - |
        run=$$(cat /run-number 2>/dev/null || echo 0); run=$$((run + 1)); echo $$run > /run-number
        awk -v run=$$run 'BEGIN {{ for (i = 1; i <= {lines}; ++i) {{ printf "%d %08d {padding}\\n", run, i; {each} }} }}'
        echo end-of-run-$$run
        {then}
"""


class LogsTest(DaemonTest):
    def writer(self, lines, then="exec sleep 1000", each="", options=None, more=""):
        """The project: service s writes `lines` lines a run. Starts it."""
        log = f"    logging: {{options: {json.dumps(options)}}}\n" if options else ""
        self.write("name: l\nservices:\n  s:\n    image: busybox\n    init: true\n    stop_grace_period: 0s\n" + log
                   + "    command:\n" + WRITER.format(lines=lines, padding=PADDING, then=then, each=each) + more)
        self.compose("up", "-d")

    def log_files(self):
        """The container's log files, oldest first."""
        folder = self.state / "container" / self.container("s")["id"]
        found = [each for each in folder.iterdir() if re.fullmatch(r".*\.log(\.\d+)?(\.gz)?", each.name)]
        return sorted(found, key=lambda each: -int((re.search(r"\.log\.(\d+)", each.name) or [0, 0])[1]))

    def written(self):
        """What the log files hold, line by line."""
        texts = [gzip.decompress(each.read_bytes()).decode() if each.suffix == ".gz" else each.read_text()
                 for each in self.log_files()]
        return [json.loads(line)["log"].rstrip("\n") for text in texts for line in text.splitlines()]

    def lines(self, *arguments):
        return self.compose("logs", "--no-color", "--no-log-prefix", *arguments).stdout.splitlines()

    def last_written(self):
        """The end of the newest log file, looked at without the product."""
        newest = self.log_files()[-1]
        return newest.read_bytes()[-300:].decode() if newest.exists() else ""

    def wait_for_line(self, text):
        wait_until(lambda: text in self.last_written(), 60, f"{text} in the log file")

    @contextlib.contextmanager
    def following(self, *arguments):
        """`logs -f` beside the test; gives what it has printed so far, as lines, without how the runs ended."""
        output = self.folder / "followed"
        environment = {**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"}
        with open(output, "w") as file:
            process = subprocess.Popen([BIN / "compose", "logs", "-f", "--no-log-prefix", *arguments], cwd=self.project,
                                       stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment)
        try:
            yield process, lambda: [line for line in output.read_text().splitlines() if "exited with code" not in line]
        finally:
            process.kill()
            process.wait()

    def assert_runs_are_whole(self, lines, runs, each):
        expected = []
        for run in range(1, runs + 1):
            expected += [f"{run} {number:08d}" for number in range(1, each + 1)] + [f"end-of-run-{run}"]
        found = [line.removesuffix(" " + PADDING) for line in lines]
        for at, (left, right) in enumerate(zip(found, expected)):
            self.assertEqual(left, right, f"line {at} of {len(found)}")
        self.assertEqual(len(found), len(expected))

    def test_a_hundred_megabytes_are_rotated_and_the_newest_lines_are_shown_in_order(self):
        self.writer(1_000_000)
        most = 0

        def ended():
            nonlocal most
            most = max(most, len(self.log_files()))
            for each in self.log_files():
                with contextlib.suppress(FileNotFoundError):  # rotated while we look
                    self.assertLess(each.stat().st_size, 10 * MEGABYTE + 1000, each.name)
            return "end-of-run-1" in self.last_written()

        wait_until(ended, 60, "the flood to end")
        self.assertEqual(most, 3)
        sizes = {each.name: each.stat().st_size for each in self.log_files()}
        self.assertEqual(len(sizes), 3, sizes)
        self.assertTrue(all(size >= 10 * MEGABYTE for name, size in sizes.items() if not name.endswith(".log")), sizes)
        lines = self.lines()
        self.assertEqual(lines[-1], "end-of-run-1")
        numbers = [int(line.split()[1]) for line in lines[:-1]]
        self.assertEqual(numbers, list(range(numbers[0], 1_000_001)))
        self.assertGreater(len(numbers), 2 * 10 * MEGABYTE // 200)
        self.assertEqual(self.lines("-n", "5"), [f"1 {number:08d} {PADDING}" for number in range(999_997, 1_000_001)]
                         + ["end-of-run-1"])

    def test_without_f_logs_end_where_they_were_when_asked_however_fast_the_service_writes(self):
        self.writer(1_000_000_000)
        wait_until(lambda: len(self.log_files()) == 3, 30, "two rotations")
        counts = []
        for _ in range(5):
            try:
                counts.append(len(self.compose("logs", "--no-log-prefix", "-n", "5", timeout=5).stdout.splitlines()))
            except subprocess.TimeoutExpired:
                counts.append("no end")
        self.assertEqual(counts, [5] * 5)

    def test_tail_reaches_over_rotated_files(self):
        self.writer(3000, options={"max-size": "100k", "max-file": "20"})
        self.wait_for_line("end-of-run-1")
        self.assertGreater(len(self.log_files()), 3)
        written = self.written()
        for count in (0, 1, 700, 2500):
            self.assertEqual(self.lines("-n", str(count)), written[len(written) - count:])
        self.assertEqual(len(self.lines("-n", "100000")), 3001)
        self.assert_runs_are_whole(self.lines("-n", "all"), 1, 3000)

    def test_options_of_the_service_bound_its_logs(self):
        self.writer(20_000, options={"max-size": "100k", "max-file": "2"})
        self.wait_for_line("end-of-run-1")
        self.assertEqual(len(self.log_files()), 2)
        for each in self.log_files():
            self.assertLess(each.stat().st_size, 101 << 10)
        self.assertEqual(self.lines()[-1], "end-of-run-1")

    def test_what_is_rotated_away_is_compressed_and_read_like_the_rest(self):
        self.writer(6000, options={"max-size": "100k", "max-file": "20", "compress": "true"})
        self.wait_for_line("end-of-run-1")

        def all_compressed():
            *rotated, newest = self.log_files()
            return newest.name.endswith(".log") and rotated and all(each.name.endswith(".gz") for each in rotated)

        wait_until(all_compressed, 20, "all files but one to be compressed")
        self.assertGreater(len(self.log_files()), 8)
        self.assertLess(sum(each.stat().st_size for each in self.log_files()[:-1]), 300 << 10)
        self.assert_runs_are_whole(self.written(), 1, 6000)
        self.assert_runs_are_whole(self.lines(), 1, 6000)
        written = self.written()
        for count in (0, 1, 700, 2500, 5999):
            self.assertEqual(self.lines("-n", str(count)), written[len(written) - count:])
        names = {each.name for each in (self.state / "container" / self.container("s")["id"]).iterdir()}
        self.assertFalse([name for name in names if name.endswith(".tmp")])

    def test_compressing_keeps_to_the_number_of_files_under_a_flood(self):
        self.writer(200_000, options={"max-size": "200k", "max-file": "3", "compress": "true"})
        self.wait_for_line("end-of-run-1")
        wait_until(lambda: [each.name.split("-json.log")[1] for each in self.log_files()] == [".2.gz", ".1.gz", ""], 20,
                   "two compressed files")
        lines = self.lines()
        numbers = [int(line.split()[1]) for line in lines[:-1]]
        self.assertEqual(numbers, list(range(numbers[0], 200_001)))

    def test_following_over_files_that_are_compressed_loses_and_doubles_nothing(self):
        self.writer(40_000, options={"max-size": "300k", "max-file": "100", "compress": "true"})
        with self.following() as (process, so_far):
            for run in (1, 2, 3):
                wait_until(lambda: f"end-of-run-{run}" in so_far()[-1:], 30, f"the end of run {run} in logs -f")
                self.compose("restart", "s")
            self.assert_runs_are_whole(so_far()[:3 * 40_001], 3, 40_000)

    def test_following_over_rotation_and_restarts_loses_and_doubles_nothing(self):
        self.writer(20_000, options={"max-size": "1m", "max-file": "50"},
                    more="  idle: {image: busybox, init: true, command: sleep 1000, stop_grace_period: 0s}\n")
        with self.following() as (process, so_far):
            for run in (1, 2, 3):
                wait_until(lambda: f"end-of-run-{run}" in so_far()[-1:], 20, f"the end of run {run} in logs -f")
                if run < 3:
                    self.compose("restart", "s")
            self.assertGreater(len(self.log_files()), 3)
            self.assert_runs_are_whole(so_far(), 3, 20_000)
            self.compose("stop")
            self.assertEqual(process.wait(10), 0)
            self.assertEqual(len(so_far()), 3 * 20_001)

    def test_a_restart_of_all_that_is_followed_does_not_end_logs_f(self):
        self.writer(10)
        with self.following() as (process, so_far):
            wait_until(lambda: "end-of-run-1" in so_far(), 10, "the first run in logs -f")
            self.compose("restart")
            wait_until(lambda: "end-of-run-2" in so_far(), 5, "the second run in logs -f")
            self.assertIsNone(process.poll())
            self.assert_runs_are_whole(so_far(), 2, 10)

    def test_following_over_restarts_by_the_policy_loses_and_doubles_nothing(self):
        self.writer(5000, then="[ $$run = 4 ] && exec sleep 1000; exit 1", options={"max-size": "500k", "max-file": "50"},
                    more="    restart: on-failure\n")
        with self.following() as (process, so_far):
            wait_until(lambda: "end-of-run-4" in so_far(), 30, "the end of the fourth run in logs -f")
            self.assertIsNone(process.poll())
            self.assert_runs_are_whole(so_far(), 4, 5000)

    def test_a_restart_in_the_middle_of_writing_is_followed(self):
        self.writer(400_000, each="fflush()", options={"max-size": "1m", "max-file": "500"},
                    more="  idle: {image: busybox, init: true, command: sleep 1000, stop_grace_period: 0s}\n")
        with self.following("-n", "0") as (process, so_far):
            wait_until(lambda: len(so_far()) > 1000, 20, "lines of the first run")
            self.compose("restart", "s")
            wait_until(lambda: any(line.startswith("2 ") for line in so_far()[-1:]), 60, "lines of the second run")
            wait_until(lambda: len(self.log_files()) > 3, 60, "files to be rotated away")
            self.compose("stop")
            self.assertEqual(process.wait(60), 0)
        followed, written = so_far(), self.written()
        self.assertNotIn("end-of-run-1", written)
        self.assertEqual(len(followed), len(written) - written.index(followed[0]))
        self.assertTrue(followed == written[-len(followed):])

    def test_both_streams_arrive_each_marked_in_the_file(self):
        self.write("name: l\nservices:\n  s:\n    image: busybox\n    command: sh -c 'echo to-out; echo to-err >&2'\n")
        self.compose("up", "-d")
        self.wait_for_state("s", "exited")
        self.assertEqual(sorted(self.lines()), ["to-err", "to-out"])
        records = [json.loads(line) for line in self.log_files()[-1].read_text().splitlines()]
        self.assertEqual({each["log"]: each["stream"] for each in records}, {"to-out\n": "stdout", "to-err\n": "stderr"})

    def test_timestamps_are_rfc_3339_and_do_not_go_back(self):
        self.write("name: l\nservices:\n  s: {image: busybox, command: sh -c 'for i in 1 2 3; do echo line $$i; done'}\n")
        self.compose("up", "-d")
        self.wait_for_state("s", "exited")
        stamps, texts = zip(*(line.split(" ", 1) for line in self.lines("-t")))
        self.assertEqual(texts, ("line 1", "line 2", "line 3"))
        for stamp in stamps:
            self.assertRegex(stamp, TIMESTAMP)
        self.assertEqual(sorted(stamps), list(stamps))
        self.assertGreaterEqual(stamps[0][:19], self.container("s")["started"][:19])
        prefixed = self.compose("logs", "-t", "-n", "1").stdout
        self.assertRegex(prefixed, r"^s-1\s+\| \d{4}-\d\d-\d\dT\S+Z line 3\n$")

    def test_a_last_line_without_a_newline_and_a_very_long_line_are_whole(self):
        self.write("name: l\nservices:\n  s:\n    image: busybox\n    command:\n      - sh\n      - -c\n      - |\n"
                   "        head -c 100000 /dev/zero | tr '\\0' y; echo; printf last\n")
        self.compose("up", "-d")
        self.wait_for_state("s", "exited")
        self.assertEqual([(len(line), line[-4:]) for line in self.lines()], [(100_000, "yyyy"), (4, "last")])

    def test_an_unknown_service_is_an_error(self):
        self.write("name: l\nservices:\n  s: {image: busybox, command: 'true'}\n")
        self.compose("up", "-d")
        for arguments in (("nothing",), ("-f", "nothing"), ("s", "nothing")):
            done = self.compose("logs", *arguments, check=False)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertIn("no such service: nothing", done.stderr)
        wrong = self.compose("logs", "-n", "many", check=False)
        self.assertEqual(wrong.returncode, 1)


if __name__ == "__main__":
    unittest.main()
