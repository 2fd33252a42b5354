"""Logging drivers and their options, looked at from the file, the socket and `logs`; nobody is held up by logs."""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest

from harness import BIN, DaemonTest, wait_until

MEGABYTE = 1 << 20


class Receiver:
    """Takes what comes through a socket of ours, on a thread: datagrams, or the lines of streams."""

    def __init__(self, family, kind, address):
        self.socket = socket.socket(family, kind)
        self.socket.bind(address)
        self.stream = kind == socket.SOCK_STREAM
        if self.stream:
            self.socket.listen()
        self.messages = []
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        with contextlib.suppress(OSError):
            while True:
                if not self.stream:
                    self.messages.append(self.socket.recv(1 << 18))
                    continue
                with self.socket.accept()[0] as peer, peer.makefile("rb") as lines:
                    for line in lines:
                        self.messages.append(line)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def journal_fields(datagram):
    """The journal's native protocol: NAME=VALUE, or NAME, the length and the value."""
    fields = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = struct.unpack("<Q", rest[:8])[0]
            value, rest = rest[8:8 + size], rest[9 + size:]
        fields[name.decode()] = value.decode()
        datagram = rest
    return fields


class LoggingCase(DaemonTest):
    def service(self, command, logging="", more=""):
        log = f"    logging: {logging}\n" if logging else ""
        self.write(f"name: l\nservices:\n  s:\n    image: busybox\n    init: true\n    stop_grace_period: 0s\n{log}{more}"
                   f"    command: [sh, -c, {json.dumps(command.replace('$', '$$'))}]\n")

    def up(self, *arguments):
        self.service(*arguments)
        self.compose("up", "-d")

    def log_folder(self, service="s"):
        return self.state / "container" / self.container(service)["id"]

    def log_path(self, service="s"):
        return self.log_folder(service) / (self.container(service)["id"] + "-json.log")

    def records(self):
        return [json.loads(line) for line in self.log_path().read_text().splitlines()]

    def lines(self, *arguments):
        return self.compose("logs", "--no-color", "--no-log-prefix", *arguments).stdout.splitlines()

    def wait_for_lines(self, count):
        return wait_until(lambda: len(self.lines()) >= count and self.lines(), 15, f"{count} lines")

    def receiver(self, kind, address, family=socket.AF_UNIX):
        made = Receiver(family, kind, address)
        self.addCleanup(made.close)
        return made

    def refused(self, *expected):
        done = self.compose("up", "-d", check=False)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        for each in expected:
            self.assertIn(each, done.stderr)


class LoggingTest(LoggingCase):
    # --- options of the file

    def test_labels_variables_and_tag_are_in_each_line(self):
        options = {"labels": "role,absent", "labels-regex": "^team\\.", "env": "MODE", "env-regex": "^X_",
                   "tag": "{{.Name}}/{{ .ImageName }}/{{.ID}}/{{.DaemonName}}"}
        self.up("echo one; echo two >&2", json.dumps({"options": options}),
                "    labels: {role: front, team.name: blue, other: x}\n    environment: {MODE: fast, X_A: '1 \"2\"', Y: no}\n")
        self.wait_for_state("s", "exited")
        identity = self.container("s")["id"]
        expected = {"role": "front", "team.name": "blue", "MODE": "fast", "X_A": '1 "2"',
                    "tag": f"l-s-1/busybox/{identity[:12]}/composed"}
        records = self.records()
        self.assertEqual([each["attrs"] for each in records], [expected, expected])
        self.assertEqual({each["log"] for each in records}, {"one\n", "two\n"})
        self.assertEqual(sorted(self.lines()), ["one", "two"])
        self.up("echo one", "{options: {tag: '{{.FullID}} {{.ImageID}} {{.ImageFullID}}'}}")
        self.wait_for_state("s", "exited")
        full, image, image_full = self.records()[0]["attrs"]["tag"].split()
        self.assertEqual(full, self.container("s")["id"])
        self.assertTrue(image_full.split(":")[-1].startswith(image) and len(image) == 12, (image, image_full))

    def test_local_rotates_by_itself_at_twenty_megabytes_and_compresses(self):
        self.up(f"yes {'x' * 63} | head -c 30m; echo the end; sleep 1000", "{driver: local}")
        wait_until(lambda: self.lines("-n", "1") == ["the end"], 60, "the flood to end")
        wait_until(lambda: list(self.log_folder().glob("*.gz")) and not list(self.log_folder().glob("*.log.[0-9]")), 30,
                   "all that is rotated away to be compressed")
        self.assertLess(self.log_path().stat().st_size, 20 * MEGABYTE + 1000)
        self.assertEqual(len(self.lines()), 30 * MEGABYTE // 64 + 1)

    def test_none_keeps_nothing(self):
        self.up("echo something; sleep 1000", "{driver: none}")
        self.assertEqual(self.lines(), [])
        self.assertEqual(list(self.log_folder().glob("*.log*")), [])

    def test_wrong_options_are_told_all_at_once_with_their_names(self):
        for driver in "gelf", "fluentd", "awslogs", "splunk", "gcplogs", "etwlogs":
            self.service("true", f"{{driver: {driver}}}")
            self.refused(f'services.s.logging.driver: "{driver}" is not supported; there are json-file, local, none')
        self.service("true", json.dumps({"options": {
            "max-size": "many", "max-file": "0", "compress": "perhaps", "env-regex": "(", "labels-regex": "[", "tag": "{{.Nam}}",
            "mode": "fast", "max-buffer-size": "-1", "syslog-facility": "daemon", "cache-max-size": "1m"}}))
        self.refused(*(f"services.s.logging.options.{name}: " for name in (
            "max-size", "max-file", "compress", "env-regex", "labels-regex", "tag", "mode", "max-buffer-size",
            "syslog-facility", "cache-max-size")))
        self.service("true", json.dumps({"options": {"compress": "true", "max-file": "1"}}))
        self.refused("services.s.logging.options.compress: only files that were rotated away")
        for address in "nowhere", "http://x", "tcp+tls://x:1", "unix://relative", "udp://host:no", "tcp://:1", "udp://h:70000":
            self.service("true", json.dumps({"driver": "syslog", "options": {"syslog-address": address}}))
            self.refused(f'services.s.logging.options.syslog-address: "{address}"')
        self.service("true", json.dumps({"driver": "syslog", "options": {
            "syslog-facility": "local9", "syslog-format": "rfc1", "max-size": "1m"}}))
        self.refused(*(f"services.s.logging.options.{name}: " for name in ("syslog-facility", "syslog-format", "max-size")))

    # --- syslog

    def test_syslog_gets_each_line_and_logs_reads_the_copy(self):
        got = self.receiver(socket.SOCK_DGRAM, str(self.folder / "syslog"))
        self.up("echo out; echo err >&2; printf 'no end'", json.dumps({"driver": "syslog", "options": {
            "syslog-address": f"unixgram://{self.folder}/syslog", "syslog-facility": "local3", "tag": "{{.Name}} x"}}))
        wait_until(lambda: len(got.messages) == 3, 10, "three messages")
        # local3 is 19: 19 * 8 + 6 for information, + 3 for errors
        shape = r"<(\d+)>[A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d l-s-1_x\[\d+\]: (.*)"
        self.assertEqual({re.fullmatch(shape, each.decode()).groups() for each in got.messages},
                         {("158", "out"), ("155", "err"), ("158", "no end")})
        self.wait_for_state("s", "exited")
        self.assertEqual(set(self.lines()), {"out", "err", "no end"})

    def test_syslog_speaks_the_newer_format_and_over_streams(self):
        got = self.receiver(socket.SOCK_STREAM, str(self.folder / "syslog"))
        self.up("echo first; echo second", json.dumps({"driver": "syslog", "options": {
            "syslog-address": f"unix://{self.folder}/syslog", "syslog-format": "rfc5424micro"}}))
        wait_until(lambda: len(got.messages) == 2, 10, "two messages")
        short = self.container("s")["id"][:12]
        host = re.escape(socket.gethostname())
        for line, text in zip(got.messages, ("first", "second")):
            self.assertRegex(line.decode(), rf"^<30>1 \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{6}}Z {host} {short} \d+ {short} - {text}\n$")

    def test_syslog_goes_over_the_hosts_network(self):
        for scheme, kind in ("udp", socket.SOCK_DGRAM), ("tcp", socket.SOCK_STREAM):
            got = self.receiver(kind, ("127.0.0.1", 0), socket.AF_INET)
            port = got.socket.getsockname()[1]
            self.up(f"for i in 1 2 3; do echo {scheme} $i; done", json.dumps({"driver": "syslog", "options": {
                "syslog-address": f"{scheme}://localhost:{port}"}}))
            wait_until(lambda: len(got.messages) == 3, 10, f"three messages by {scheme}")
            host = re.escape(socket.gethostname())
            self.assertRegex(got.messages[-1].decode(), rf"^<30>.{{15}} {host} [0-9a-f]{{12}}\[\d+\]: {scheme} 3\n?$")

    def test_a_receiver_that_is_not_there_is_told_at_the_start(self):
        self.service("true", json.dumps({"driver": "syslog", "options": {"syslog-address": "unix:///no/such"}}))
        self.refused("services.s.logging.options.syslog-address", "/no/such")
        self.service("true", json.dumps({"driver": "syslog", "options": {"syslog-address": "udp://no.such.host.invalid"}}))
        self.refused("services.s.logging.options.syslog-address", "no.such.host.invalid")
        if not pathlib.Path("/run/systemd/journal/socket").exists():
            self.service("true", "{driver: journald}")
            self.refused("services.s.logging.driver: journald", "/run/systemd/journal/socket")

    def test_a_receiver_that_takes_nothing_holds_up_nobody_and_hears_what_it_has_missed(self):
        deaf = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(deaf.close)
        deaf.bind(str(self.folder / "syslog"))
        begun = time.monotonic()
        self.up(f"yes {'x' * 99} | head -n 100000; echo the end; while sleep 0.2; do echo later; done", json.dumps(
            {"driver": "syslog", "options": {"syslog-address": f"unixgram://{self.folder}/syslog"}}))
        wait_until(lambda: "the end" in self.lines("-n", "5") or "later" in self.lines("-n", "1"), 30, "the flood to end")
        self.assertLess(time.monotonic() - begun, 20)
        self.assertGreaterEqual(len(self.lines()), 100_001)
        deaf.settimeout(5)
        messages = []
        while not any(b"lines were lost" in each for each in messages):
            messages.append(deaf.recv(1 << 17))
        missed = int(re.search(rb"composed: (\d+) lines were lost", messages[-1])[1])
        self.assertGreater(missed, 50_000)
        while not messages[-1].endswith(b"later"):
            messages.append(deaf.recv(1 << 17))

    def test_a_receiver_that_is_started_anew_gets_what_comes_then(self):
        got = self.receiver(socket.SOCK_DGRAM, str(self.folder / "syslog"))
        self.up("i=0; while true; do i=$((i + 1)); echo line $i; sleep 0.1; done", json.dumps(
            {"driver": "syslog", "options": {"syslog-address": f"unixgram://{self.folder}/syslog"}}))
        wait_until(lambda: len(got.messages) > 2, 10, "messages")
        got.close()
        (self.folder / "syslog").unlink()
        time.sleep(0.5)
        again = self.receiver(socket.SOCK_DGRAM, str(self.folder / "syslog"))
        wait_until(lambda: len(again.messages) > 5, 10, "messages after that")
        numbers = [int(each.split()[-1]) for each in again.messages]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))

    # --- those that were replaced

    def former(self):
        return self.state / "former"

    def recreated(self, text, then="sleep 1000"):
        self.up(f"echo {text}; {then}")
        wait_until(lambda: text in self.lines("-n", "1"), 10, text)

    def test_the_log_of_the_container_before_is_shown_before_its_own(self):
        self.recreated("first")
        first = self.container("s")["id"]
        self.recreated("second")
        self.assertNotEqual(self.container("s")["id"], first)
        self.assertEqual(self.lines(), ["first", "second"])
        self.assertEqual(self.lines("-n", "1"), ["second"])
        self.assertEqual(self.lines("-n", "2"), ["first", "second"])
        prefixes = {line.split("|")[0].strip() for line in self.compose("logs", "s").stdout.splitlines()}
        self.assertEqual(prefixes, {"s-1"})
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        self.assertEqual(self.lines(), ["first", "second"])
        self.recreated("third")
        self.assertEqual(self.lines(), ["second", "third"])
        self.compose("restart", "s", "-t", "0")
        wait_until(lambda: self.lines() == ["second", "third", "third"], 10, "the second run")
        self.compose("down", "-t", "0")
        self.assertFalse(self.former().exists())

    def test_former_logs_are_shown_for_a_day(self):
        self.recreated("first")
        self.recreated("second")
        kept = self.former() / "l" / "s-1"
        then = time.time() - 24 * 3600 - 60
        os.utime(kept, (then, then))
        self.assertEqual(self.lines(), ["second"])
        self.stop_daemon()
        self.start_daemon()
        wait_until(lambda: not kept.exists(), 10, "the old log to go")

    def test_a_removed_container_leaves_no_log(self):
        self.recreated("first")
        self.compose("rm", "-sf", "s")
        self.assertFalse(self.former().exists())
        (self.former() / "gone" / "s-1").mkdir(parents=True)
        self.stop_daemon()
        self.start_daemon()
        self.assertFalse((self.former() / "gone").exists())

    def test_following_goes_on_over_a_recreation(self):
        self.recreated("first")
        output = self.folder / "followed"
        with open(output, "w") as file:
            process = subprocess.Popen([BIN / "compose", "logs", "-f", "--no-log-prefix", "s"], cwd=self.project, stdout=file,
                                       env={**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"})
        self.addCleanup(process.kill)

        def so_far():
            return [line for line in output.read_text().splitlines() if "exited with code" not in line]

        wait_until(lambda: so_far() == ["first"], 10, "the first line")
        self.recreated("second")
        self.recreated("third")
        wait_until(lambda: so_far() == ["first", "second", "third"], 10, "all lines once")
        self.compose("stop", "-t", "0")
        self.assertEqual(process.wait(10), 0)
        self.assertEqual(so_far(), ["first", "second", "third"])

    # --- nobody is held up

    def test_a_flood_slows_only_itself(self):
        self.write("name: l\nservices:\n  flood:\n    image: busybox\n    stop_grace_period: 0s\n"
                   "    command: [sh, -c, 'yes 0123456789012345678901234567890123456789 | head -c 400m; echo the end; sleep 1000']\n"
                   "  calm: {image: busybox, init: true, stop_grace_period: 0s, command: sleep 1000}\n")
        self.compose("up", "-d")
        begun = time.monotonic()
        ticks = self.cpu_of_daemon()
        slowest = 0.0
        while b"the end" not in self.log_path("flood").read_bytes()[-500:]:
            before = time.monotonic()
            self.compose("exec", "-T", "calm", "true", timeout=10)
            self.compose("ps", timeout=10)
            slowest = max(slowest, time.monotonic() - before)
            self.assertLess(time.monotonic() - begun, 60, "400 MB of log")
        seconds = time.monotonic() - begun
        print(f"400 MB in {seconds:.1f} s, slowest exec and ps {slowest:.2f} s", end=" ")
        self.assertLess(slowest, 3)
        self.assertLess(self.cpu_of_daemon() - ticks, 0.5 * seconds)

    def cpu_of_daemon(self):
        fields = pathlib.Path(f"/proc/{self.daemon.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_of_daemon(self):
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.daemon.pid}/status").read_text())[1]) << 10

    def test_a_reader_that_is_stuck_holds_up_nobody(self):
        self.up("i=0; while true; do i=$((i + 1)); yes 0123456789012345678901234567890123456789 | head -n 100000; echo round $i; done",
                "{options: {max-size: 10m, max-file: '3'}}")
        before = self.memory_of_daemon()
        stuck = [subprocess.Popen([BIN / "compose", "logs", "-f"], cwd=self.project, stdout=subprocess.PIPE,
                                  env={**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"})
                 for _ in range(3)]
        for each in stuck:
            self.addCleanup(each.stdout.close)
            self.addCleanup(each.wait)
            self.addCleanup(each.kill)

        def last_round():
            return max((int(line.split()[1]) for line in self.lines("-n", "100100") if line.startswith("round")), default=0)

        first = wait_until(last_round, 30, "the first round")
        wait_until(lambda: last_round() > first + 3, 60, "three rounds beside stuck readers")
        begun = time.monotonic()
        self.compose("exec", "-T", "s", "true", timeout=10)
        self.compose("ps", timeout=10)
        self.assertLess(time.monotonic() - begun, 3)
        self.assertLess(self.memory_of_daemon() - before, 64 * MEGABYTE)
        self.compose("down", "-t", "0", timeout=20)

    def test_a_full_disk_costs_lines_and_no_more(self):
        self.service(f"i=0; while true; do i=$((i + 1)); echo line $i {'x' * 1000}; echo $i > /shared/count; done", "", "    volumes: [shared:/shared]\n")
        self.write((self.project / "compose.yaml").read_text() + "volumes: {shared: }\n")
        self.compose("create")
        folder = self.log_folder()
        folder.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", folder], stderr=subprocess.DEVNULL)
        count = self.state / "volume" / "l_shared" / "_data" / "count"

        def counted():
            with contextlib.suppress(OSError, ValueError):
                return int(count.read_text())
            return 0

        (folder / "filler").write_bytes(b"x" * MEGABYTE)
        self.compose("start")
        wait_until(lambda: os.statvfs(folder).f_bavail == 0, 30, "the disk to be full")
        for _ in range(3):
            now = counted()
            wait_until(lambda: counted() > now + 500, 20, "the service to go on")
        self.compose("exec", "-T", "s", "true")
        (folder / "filler").unlink()

        def told():
            return [line for line in self.lines() if "bytes of this log were lost" in line]

        wait_until(told, 20, "a line about the gap")
        self.assertRegex(told()[0], r"^composed: \d+ bytes of this log were lost: No space left on device$")
        self.assertTrue(any(line.startswith("line ") for line in self.lines("-n", "3")), self.lines("-n", "3"))
        self.compose("stop", "-t", "0")
        wait_until(lambda: subprocess.run(["umount", folder], stderr=subprocess.DEVNULL).returncode == 0, 10, "the shim to leave")


class JournalTest(LoggingCase):
    """A journal's socket in the place of the host's, for the daemon alone."""

    def setUp(self):
        journal = pathlib.Path(f"/dev/shm/composed-journal-{os.getpid()}")
        (journal / "journal").mkdir(parents=True)
        self.addCleanup(subprocess.run, ["rm", "-r", journal])
        pathlib.Path("/run/systemd").mkdir(exist_ok=True)
        self.files = {"/run/systemd": journal}
        self.journal = self.receiver(socket.SOCK_DGRAM, str(journal / "journal" / "socket"))
        super().setUp()

    def test_the_journal_gets_each_line_with_dockers_fields(self):
        self.up("echo out; echo err >&2; head -c 20000 /dev/zero | tr '\\0' y; echo", json.dumps(
            {"driver": "journald", "options": {"labels": "team.name", "env": "MODE"}}),
            "    labels: {team.name: blue}\n    environment: {MODE: \"two\\nlines\"}\n")
        wait_until(lambda: len(self.journal.messages) == 4, 10, "four entries")
        entries = [journal_fields(each) for each in self.journal.messages]
        identity = self.container("s")["id"]
        for each in entries:
            self.assertEqual({name: each.get(name) for name in (
                "CONTAINER_ID", "CONTAINER_ID_FULL", "CONTAINER_NAME", "CONTAINER_TAG", "IMAGE_NAME", "SYSLOG_IDENTIFIER",
                "TEAM_NAME", "MODE")}, {
                    "CONTAINER_ID": identity[:12], "CONTAINER_ID_FULL": identity, "CONTAINER_NAME": "l-s-1",
                    "CONTAINER_TAG": identity[:12], "IMAGE_NAME": "busybox", "SYSLOG_IDENTIFIER": identity[:12],
                    "TEAM_NAME": "blue", "MODE": "two\nlines"})
        by_message = {each["MESSAGE"]: each for each in entries}
        self.assertEqual(by_message["out"]["PRIORITY"], "6")
        self.assertEqual(by_message["err"]["PRIORITY"], "3")
        parts = [each for each in entries if each["MESSAGE"].startswith("y")]
        self.assertEqual("".join(each["MESSAGE"] for each in parts), "y" * 20_000)
        self.assertEqual([each.get("CONTAINER_PARTIAL_MESSAGE") for each in parts], ["true", None])
        self.wait_for_state("s", "exited")
        self.assertEqual(len(self.lines()), 3)

    def test_the_copy_can_be_bounded_or_left_out(self):
        self.up("yes 0123456789 | head -n 100000; sleep 1000", json.dumps({"driver": "journald", "options": {
            "cache-max-size": "100k", "cache-max-file": "2", "cache-compress": "false"}}))
        wait_until(lambda: (self.log_path().parent / (self.log_path().name + ".1")).exists(), 20, "a rotated copy")
        self.assertLess(self.log_path().stat().st_size, 110 << 10)
        self.up("echo out; sleep 1000", "{driver: journald, options: {cache-disabled: 'true'}}")
        wait_until(lambda: any(journal_fields(each)["MESSAGE"] == "out" for each in self.journal.messages), 10, "the entry")
        self.assertNotIn("out", self.lines())
        self.assertEqual(list(self.log_folder().glob("*.log")), [])


if __name__ == "__main__":
    unittest.main()
