"""Images, files, clients and containers that mean harm: nothing crosses, crashes or blocks. See SECURITY.md for what is defended.

The tables of layers that reach outward are in tests/unit/engine/image/hostile_layer_test.cpp, byte by byte; here the whole way is gone, through
the daemon to a container that is started from what was made.
"""
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import socket
import stat
import tarfile
import threading
import time
import unittest

from harness import ROOT, DaemonTest, wait_until
from image_test import add, archive_of, busybox_layer

CANARY = "as it was"
DEEP = "../" * 40


def entry(name, kind=tarfile.REGTYPE, link="", content=b"", mode=0o755, pax=None, device=(0, 0), size=None):
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode, made.size = kind, link, mode, len(content) if size is None else size
    made.devmajor, made.devminor = device
    made.pax_headers = pax or {}
    return made, content


def layer(*entries):
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for made, content in entries:
            archive.addfile(made, io.BytesIO(content))
    return text.getvalue()


def link(name, to):
    return entry(name, tarfile.SYMTYPE, to)


class HostileTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.outside = self.folder / "outside"
        self.outside.mkdir()
        (self.outside / "canary").write_text(CANARY)
        self.number = 0

    def tearDown(self):
        self.assertIsNone(self.daemon.poll(), "the daemon has ended")
        self.assertEqual(os.listdir(self.outside), ["canary"])
        self.assertEqual((self.outside / "canary").read_text(), CANARY)
        self.assertEqual(self.outside.stat().st_mode & 0o7777, 0o755)
        log = (self.folder / "log").read_text()
        self.assertNotIn("AddressSanitizer", log)
        self.compose("ls")

    def load(self, archive):
        file = self.folder / "image.tar"
        file.write_bytes(archive)
        return self.compose("load", "-i", str(file), check=False)

    def run_image(self, layers, config=None, command=None, service=""):
        """Loads the image and runs a command in it, if either is possible: what that said."""
        self.number += 1
        done = self.load(archive_of([busybox_layer(), *layers], f"hostile:{self.number}", config=config))
        if done.returncode != 0:
            self.assertEqual(done.returncode, 1, done.stderr)
            return None
        self.write(f"name: hostile\nservices: {{s: {{image: 'hostile:{self.number}'{service}}}}}\n")
        return self.compose("run", "--rm", "-T", "s", *(command or ["true"]), check=False)


class ImageTest(HostileTest):
    def test_links_in_the_place_of_what_the_engine_mounts(self):
        out = str(self.outside)
        for name in "dev", "proc", "sys", "etc", "run", "tmp", "var":
            for to in out, DEEP + out, "/proc/self/root" + out, name:
                with self.subTest(name=name, to=to):
                    self.run_image([layer(entry(f".wh.{name}"), link(name, to))])
        for name in "hosts", "hostname", "resolv.conf", "passwd", "group", "mtab":
            for to in f"{out}/canary", f"{DEEP}{out}/canary", f"{out}/new", "/proc/self/exe":
                with self.subTest(name=name, to=to):
                    self.run_image([layer(link(f"etc/{name}", to))], command=["sh", "-c", f"echo dead >/etc/{name}"], service=", user: root")

    def test_mounts_over_links(self):
        out = str(self.outside)
        (self.project / "mine").mkdir()
        for target in "/l", "/l/below", "/a/../l", "/proc/self/root/x":
            for more in f"volumes: ['v:{target}']", f"volumes: ['./mine:{target}']", f"tmpfs: ['{target}']", f"secrets: [{{source: t, target: {target}}}]":
                with self.subTest(target=target, more=more):
                    self.load(archive_of([busybox_layer(), layer(link("l", out))], "linked:1"))
                    self.write(f"name: hostile\nservices: {{s: {{image: 'linked:1', command: 'sh -c \"echo dead >{target}/planted\"', {more}}}}}\n"
                               "volumes: {v: {}}\nsecrets: {t: {environment: HOME}}\n")
                    self.compose("up", check=False)
                    self.assertEqual(os.listdir(self.outside), ["canary"])
                    self.compose("down", "-v", "-t", "0")

    def test_a_volume_is_not_filled_from_the_host(self):
        for target in "/l", "/d/l":
            self.load(archive_of([busybox_layer(), layer(entry("d", tarfile.DIRTYPE), link("l", str(self.outside)), link("d/l", DEEP + str(self.outside)))],
                                 "filled:1", config={"Volumes": {target: {}}}))
            self.write(f"name: hostile\nservices: {{s: {{image: 'filled:1', command: 'cat {target}/canary', volumes: ['v:{target}']}}}}\nvolumes: {{v: {{}}}}\n")
            self.compose("up", "-d", check=False)
            for file in (self.state / "volume").rglob("canary"):
                self.fail(f"copied from the host: {file}")
            self.compose("down", "-v", "-t", "0")

    def test_device_nodes_are_of_no_use(self):
        for kind, device in (tarfile.CHRTYPE, (1, 1)), (tarfile.CHRTYPE, (1, 2)), (tarfile.BLKTYPE, (8, 0)), (tarfile.BLKTYPE, (7, 0)), (tarfile.CHRTYPE, (10, 229)):
            with self.subTest(kind=kind, device=device):
                done = self.run_image([layer(entry("node", kind, device=device, mode=0o666))], command=["sh", "-c", "exec 3<>/node && echo OPEN"])
                self.assertNotIn("OPEN", done.stdout if done else "")
        # The same by hand: mknod is allowed, opening is not.
        done = self.run_image([], command=["sh", "-c", "mknod /tmp/n b 7 0; exec 3<>/tmp/n && echo OPEN"])
        self.assertNotIn("OPEN", done.stdout)

    def test_attributes_of_overlayfs_do_nothing(self):
        for name, value in ("trusted.overlay.redirect", "/etc"), ("trusted.overlay.opaque", "y"), ("trusted.overlay.metacopy", ""), \
                ("user.overlay.redirect", "/etc"), ("security.selinux", "x"), ("trusted.md5", "x"):
            done = self.run_image([layer(entry("etc", tarfile.DIRTYPE, pax={f"SCHILY.xattr.{name}": value}))], command=["ls", "/bin"])
            if done:
                self.assertIn("busybox", done.stdout, name)

    def test_archives_that_are_not_what_they_say(self):
        good = layer(entry("f", content=b"x"))
        digest = "sha256:" + hashlib.sha256(good).hexdigest()
        other = layer(entry("f", content=b"another"))  # a layer that is here already is not read again

        def archive(config, manifest, **files):
            text = io.BytesIO()
            with tarfile.open(fileobj=text, mode="w") as made:
                add(made, "config.json", config if isinstance(config, bytes) else json.dumps(config).encode())
                for name, content in files.items():
                    add(made, name + ".tar", content)
                add(made, "manifest.json", manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode())
            return text.getvalue()

        config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [digest]}}
        manifest = [{"Config": "config.json", "RepoTags": ["bad:1"], "Layers": ["a.tar"]}]

        def changed(**what):
            return {**config, **what}

        diff_ids = lambda *ids: changed(rootfs={"type": "layers", "diff_ids": list(ids)})
        cases = {
            "another digest": archive(diff_ids("sha256:" + "0" * 64), manifest, a=good),
            "a digest that is a path": archive(diff_ids("sha256:" + DEEP + "x"), manifest, a=good),
            "a digest that is an absolute path": archive(diff_ids(str(self.outside)), manifest, a=good),
            "a digest in capitals": archive(diff_ids(digest.upper()), manifest, a=good),
            "more digests than layers": archive(diff_ids(digest, digest), manifest, a=good),
            "no digests": archive(diff_ids(), manifest, a=good),
            "no rootfs": archive({"architecture": "amd64", "os": "linux"}, manifest, a=good),
            "a layer that is not there": archive(config, [{**manifest[0], "Layers": ["none.tar"]}], a=good),
            "a layer outside": archive(config, [{**manifest[0], "Layers": [f"{DEEP}{self.outside}/canary"]}], a=good),
            "a configuration outside": archive(config, [{**manifest[0], "Config": f"{self.outside}/canary"}], a=good),
            "a name that is none": archive(config, [{**manifest[0], "RepoTags": ["../../x:1"]}], a=good),
            "a name with an escape": archive(config, [{**manifest[0], "RepoTags": ["\x1b[2J:1"]}], a=good),
            "no list": archive(config, {"a": 1}, a=good),
            "numbers": archive(config, [{"Config": 1, "RepoTags": 2, "Layers": 3}], a=good),
            "no JSON": archive(config, b"{", a=good),
            "deep JSON": archive(config, b"[" * 100_000, a=good),
            "a configuration of deep JSON": archive(b'{"a":' * 100_000, manifest, a=good),
            "a configuration of 100 MB": archive(b" " * 100_000_000, manifest, a=good),
            "a manifest of 100 MB": archive(config, b" " * 100_000_000, a=good),
            "bytes": os.urandom(100_000),
            "nothing": b"",
            "zeros": b"\0" * 10_240,
            "a tar of a tar that is cut": archive(diff_ids("sha256:" + hashlib.sha256(other).hexdigest()), manifest, a=other[:700]),
        }
        for name, text in cases.items():
            with self.subTest(name):
                done = self.load(text)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertNotIn("\x1b", done.stderr)
        self.assertLess(self.memory(), 300, "MiB")

    def test_headers_and_sizes_without_bounds(self):
        huge = layer(entry("f", pax={"path": "n" * 30_000_000}))
        cases = {
            "a name of 30 MB": huge,
            "an attribute of 30 MB": layer(entry("f", pax={"SCHILY.xattr.user.a": "x" * 30_000_000})),
            "a hundred thousand attributes": layer(entry("f", pax={f"SCHILY.xattr.user.a{n}": "x" for n in range(100_000)})),
            "a size of an exabyte": layer((entry("f")[0], b"")) + self.forged_size(),
            "sizes below nothing": layer(entry("f", pax={"size": "-1"})),
            "a size of letters": layer(entry("f", pax={"size": "x"})),
        }
        for name, text in cases.items():
            with self.subTest(name):
                started = time.monotonic()
                self.run_image([text])
                self.assertLess(time.monotonic() - started, 60)
        self.assertLess(self.memory(), 400, "MiB")

    @staticmethod
    def forged_size():
        made = bytearray(entry("f")[0].tobuf(tarfile.GNU_FORMAT))
        made[124:136] = b"\x80" + b"\0" * 3 + (1 << 60).to_bytes(8, "big")
        made[148:156] = b" " * 8
        made[148:156] = b"%06o\0 " % sum(made)
        return bytes(made)

    def test_a_bomb_ends_with_the_disk_spared(self):
        # A thousand to one: 256 MB of zeros for each 256 kB. What is made is bounded, and is gone after it.
        bomb = layer(entry("zeros", content=b"\0" * (1 << 28)))
        packed = gzip.compress(bomb, 9)
        config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}
        text = io.BytesIO()
        with tarfile.open(fileobj=text, mode="w") as archive:
            add(archive, "config.json", json.dumps(config).encode())
            add(archive, "a.tar", packed)
            add(archive, "manifest.json", json.dumps([{"Config": "config.json", "RepoTags": ["bomb:1"], "Layers": ["a.tar"]}]).encode())
        self.assertEqual(self.load(text.getvalue()).returncode, 1)
        wait_until(lambda: not list((self.state / "image").rglob("zeros")), 10, "what was unpacked to be gone")
        self.assertLess(self.memory(), 200, "MiB")

    def memory(self):
        """MiB that the daemon holds now."""
        text = pathlib.Path(f"/proc/{self.daemon.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) // 1024

    def test_configurations(self):
        configs = [{"WorkingDir": "/proc/self/fd/7"}, {"WorkingDir": "/proc/self/fd/8/../../.."}, {"WorkingDir": DEEP}, {"WorkingDir": "a/b"},
                   {"WorkingDir": "/" + "w" * 5000}, {"User": "../../etc/passwd"}, {"User": "4294967296"}, {"User": "-1"}, {"User": "nobody:none"},
                   {"Env": ["A", "=B", "", "LD_PRELOAD=/x.so", "A=\n\x1b[2J"]}, {"Env": ["A=" + "x" * 3_000_000]}, {"Env": {"a": "b"}}, {"Cmd": "sh"},
                   {"Cmd": [1]}, {"Cmd": ["/proc/self/exe"]}, {"Entrypoint": ["#!/proc/self/exe"]}, {"Volumes": {DEEP + "etc": {}}},
                   {"Volumes": {"/proc": {}}}, {"Volumes": {"/proc/self/fd": {}}}, {"Volumes": {"": {}}}, {"Volumes": {"relative": {}}},
                   {"ExposedPorts": {"99999/tcp": {}, "x": {}, "80/odd": {}}}, {"StopSignal": "SIGNONE"}, {"StopSignal": "999"},
                   {"Labels": {"\x1b[2J": "\x1b]0;x\x07"}}, {"Labels": {"com.docker.compose.project": "other"}}, {"Labels": {"autoheal": "true"}},
                   {"Healthcheck": {"Test": ["CMD"], "Interval": -1, "Timeout": 1 << 62, "Retries": -5}}, {"Healthcheck": {"Test": "x"}}]
        for config in configs:
            with self.subTest(str(config)[:80]):
                done = self.run_image([], config=config)
                text = (done.stdout + done.stderr) if done else ""
                self.assertNotIn("\x1b[2J", text)
                self.assertNotIn("root:x:0", text)
        self.assertEqual(self.api("/projects/other").get("kind", "not_found"), "not_found")

    def test_a_working_directory_that_is_a_descriptor_leads_nowhere(self):
        for number in range(3, 20):
            done = self.run_image([], command=["sh", "-c", "ls ../../../../../../.. 2>/dev/null; cat /proc/self/cwd/../canary 2>/dev/null"],
                                  service=f", working_dir: /proc/self/fd/{number}")
            self.assertNotIn(self.folder.name, done.stdout)
            self.assertNotIn("lost+found", done.stdout)


class ContainerTest(HostileTest):
    def shell(self, script, service="", **how):
        self.write(f"name: hostile\nservices: {{s: {{image: busybox{service}}}}}\n")
        return self.compose("run", "--rm", "-T", "s", "sh", "-c", script, check=False, **how)

    def test_no_descriptor_is_left_to_it(self):
        names = self.shell("ls /proc/self/fd").stdout.split()
        self.assertEqual(sorted(names), ["0", "1", "2", "3"])  # 3: that folder itself, which ls reads
        self.write("name: hostile\nservices: {s: {image: busybox, init: true, command: sleep 1000}}\n")
        self.compose("up", "-d")
        found = self.compose("exec", "-T", "s", "sh", "-c", "ls -l /proc/1/fd /proc/self/fd | grep -v pipe: | grep -v /dev/null").stdout
        self.assertNotIn(self.folder.name, found)
        self.assertNotIn("socket:", found)

    def test_what_started_it_cannot_be_written(self):
        crun = next(path for path in map(pathlib.Path, ("/usr/bin/crun", "/usr/sbin/runc", "/usr/bin/runc")) if path.exists())
        before = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (crun, *self.programs())]
        self.load(archive_of([busybox_layer(), layer(link("bin/evil", "/proc/self/exe"))], "exe:1"))
        self.write("name: hostile\nservices: {s: {image: 'exe:1', command: /bin/evil}, t: {image: busybox, init: true, command: sleep 1000}}\n")
        self.compose("up", "-d", check=False)
        for _ in range(5):
            self.compose("exec", "-T", "t", "/proc/self/exe", check=False)
            self.compose("exec", "-T", "t", "sh", "-c", "for p in /proc/[0-9]*; do (echo dead >$p/exe) 2>/dev/null; done; true", check=False)
        self.assertEqual(before, [hashlib.sha256(path.read_bytes()).hexdigest() for path in (crun, *self.programs())])

    @staticmethod
    def programs():
        from harness import BIN
        return [BIN / "composed", BIN / "composed-shim"]

    def test_a_fork_bomb_stays_within_its_limit(self):
        self.write("name: hostile\nservices: {s: {image: busybox, pids_limit: 50, stop_grace_period: 1s, command: 'sh -c \"f() { f | f & }; f; sleep 1000\"'},"
                   " other: {image: busybox, init: true, command: sleep 1000}}\n")
        self.compose("up", "-d")
        started = time.monotonic()
        self.compose("exec", "-T", "other", "true")
        self.compose("ps")
        self.compose("down", "-t", "1")
        self.assertLess(time.monotonic() - started, 20)

    def test_the_kernel_s_files_are_closed(self):
        script = ("for f in /proc/sysrq-trigger /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /sys/kernel/uevent_helper /proc/kcore "
                  "/proc/irq/default_smp_affinity /sys/fs/cgroup/*/release_agent /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs; do [ -e $f ] &&  (: >>$f) 2>/dev/null && echo OPEN $f; done; "
                  "mount -t tmpfs x /mnt 2>/dev/null && echo MOUNTED; mount -o remount,rw /proc/sys 2>/dev/null && echo REMOUNTED; "
                  "cat /proc/1/oom_score_adj; head -c 1 /proc/kcore 2>/dev/null | wc -c")
        self.assertEqual(self.shell(script).stdout.split(), ["0", "0"])

    def test_what_it_prints_and_is_called_gives_no_orders_to_a_terminal(self):
        escape = "\\e[2J\\e]0;owned\\a"
        self.write('name: hostile\nservices: {s: {image: busybox, init: true, labels: {l: "' + escape + '"}, '
                   'command: [sh, -c, "sleep 1000 # ' + escape + '", "' + escape + '"]}}\n')
        self.compose("up", "-d")
        self.compose("exec", "-T", "s", "sh", "-c", "true \x1b[2J")
        for words in ["ps"], ["ps", "--no-trunc"], ["ps", "--format", "json"], ["ps", "--format", "{{.Labels}}"], ["events", "--since", "1m", "--until", "0s"], ["top"], ["images"], ["ls"], ["history"], ["diff"], ["volumes"], ["stats", "--no-stream"]:
            done = self.compose(*words, check=False)
            self.assertNotIn("\x1b", done.stdout + done.stderr, words)
            self.assertNotIn("\x07", done.stdout + done.stderr, words)
        for name in "a\\e[2J", "a\\nb", "a/b", "../a", "a b", "-a", "a\\x9b":
            self.write(f'name: hostile\nservices: {{s: {{image: busybox, container_name: "{name}"}}}}\n')
            done = self.compose("up", "-d", check=False)
            self.assertEqual(done.returncode, 1, name)
            self.assertNotIn("\x1b", done.stderr)

    def test_names_of_users_are_looked_up_inside(self):
        self.load(archive_of([busybox_layer(), layer(link("etc/passwd", f"{DEEP}etc/passwd"), link("etc/group", "/proc/1/root/etc/group"))], "users:1"))
        self.write("name: hostile\nservices: {s: {image: 'users:1', user: daemon}}\n")
        done = self.compose("run", "--rm", "-T", "s", "id", check=False)
        self.assertNotEqual(done.returncode, 0)  # the host has a daemon, the image has none
        self.assertNotIn("uid=", done.stdout)


class ClientTest(HostileTest):
    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.run_folder / "composed.sock"))
        connection.settimeout(10)
        return connection

    def ask(self, text):
        with self.connect() as connection:
            answer = b""
            try:
                connection.sendall(text)
            except (ConnectionError, TimeoutError):
                pass  # it has answered before it has read all
            try:
                while part := connection.recv(65536):
                    answer += part
            except (ConnectionError, TimeoutError):
                pass
        return answer

    def test_requests_without_bounds(self):
        close = b"Host: composed\r\nConnection: close\r\n"
        cases = {
            "a header of a megabyte": (b"GET /api/v1/ping HTTP/1.1\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n", b" 431 "),
            "headers without end": (b"GET /api/v1/ping HTTP/1.1\r\n" + b"X: y\r\n" * 100_000 + b"\r\n", b" 431 "),
            "a path of a megabyte": (b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\n\r\n", b" 4"),
            "a body of an exabyte": (b"PUT /api/v1/projects/x HTTP/1.1\r\n" + close + b"Content-Type: application/json\r\nContent-Length: 1152921504606846976\r\n\r\n{}", b""),
            "two lengths": (b"PUT /api/v1/projects/x HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}", b" 400 "),
            "a length and chunks": (b"PUT /api/v1/projects/x HTTP/1.1\r\n" + close + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b" 4"),
            "a chunk of all there is": (b"PUT /api/v1/projects/x HTTP/1.1\r\n" + close + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", b""),
            "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100, b""),
            "paths that lead up": (b"GET /api/v1/containers/..%2f..%2f..%2fetc%2fpasswd HTTP/1.1\r\n" + close + b"\r\n", b" 404 "),
            "a percent sign alone": (b"GET /api/v1/containers/%zz HTTP/1.1\r\n" + close + b"\r\n", b" 4"),
            "deep JSON": (b"PUT /api/v1/projects/x HTTP/1.1\r\n" + close + b"Content-Type: application/json\r\nContent-Length: 200000\r\n\r\n" + b"[" * 200_000, b" 400 "),
            "a YAML bomb": (self.put(b"services: {a: {image: i, labels: &a {x: y}}}\n" + b"".join(
                b"x-%d: &l%d [%s]\n" % (n, n, b", ".join([b"*l%d" % (n - 1) if n else b"y"] * 9)) for n in range(12))), b" 400 "),
        }
        for name, (request, expected) in cases.items():
            with self.subTest(name):
                started = time.monotonic()
                answer = self.ask(request)
                self.assertIn(expected, answer.split(b"\r\n")[0] if answer else expected and b"closed without a word")
                self.assertNotIn(b"root:x", answer)
                self.assertLess(time.monotonic() - started, 25)

    @staticmethod
    def put(body):
        return b"PUT /api/v1/projects/x HTTP/1.1\r\nHost: composed\r\nConnection: close\r\nContent-Type: application/yaml\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def test_a_body_that_is_too_large_is_not_kept(self):
        size = 80 << 20
        head = b"PUT /api/v1/projects/x HTTP/1.1\r\nHost: composed\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % size
        answer = self.ask(head + b" " * size)
        self.assertIn(b"larger than the limit", answer)

    def test_who_says_nothing_holds_up_nobody(self):
        idle = [self.connect() for _ in range(200)]
        for connection in idle[::2]:
            connection.sendall(b"GET /api/v1/ping HT")
        stop = threading.Event()

        def drip():
            for letter in b"X-Slow: " + b"a" * 1000:
                if stop.wait(0.05):
                    return
                try:
                    idle[0].sendall(bytes([letter]))
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            started = time.monotonic()
            for _ in range(10):
                self.compose("ls")
            self.assertLess(time.monotonic() - started, 10)
        finally:
            stop.set()
            thread.join()
            for connection in idle:
                connection.close()

    def test_the_socket_is_the_daemon_s_user_s_alone(self):
        mode = (self.run_folder / "composed.sock").stat().st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(mode & 0o007, 0)
        self.assertEqual(self.state.stat().st_mode & 0o077, 0)

    def test_a_request_reads_no_file_of_the_host(self):
        for text in ("services: {a: {image: i, env_file: /etc/passwd}}", "services: {a: {image: i, label_file: /etc/passwd}}",
                     "include: [/etc/passwd]\nservices: {a: {image: i}}", "services: {a: {extends: {file: /etc/passwd, service: root}}}",
                     "services: {a: {image: i, secrets: [s]}}\nsecrets: {s: {file: /etc/passwd}}",
                     "services: {a: {image: i, secrets: [s]}}\nsecrets: {s: {environment: PATH}}",
                     "services: {a: {image: i, configs: [s]}}\nconfigs: {s: {file: /etc/passwd}}", "services: {a: {image: i, volumes: ['./x:/x']}}",
                     "services: {a: {image: i, volumes: ['~/x:/x']}}", "services: {a: {image: '${PATH:?none}'}}"):
            with self.subTest(text):
                answer = self.ask(self.put(text.encode()))
                self.assertIn(b" 400 ", answer.split(b"\r\n")[0], answer)
                self.assertNotIn(b"root:", answer)

    def test_what_is_secret_is_in_no_message(self):
        word = "xyzzy-7319"
        self.write("name: hostile\nservices: {s: {image: busybox, secrets: [t], command: 'true', volumes: [nowhere]}}\n"
                   f"secrets: {{t: {{environment: WORD}}}}\nconfigs: {{c: {{content: '{word}'}}}}\nvolumes: {{nowhere: {{external: true}}}}\n")
        done = self.compose("up", "-d", check=False, env={"WORD": word})
        self.assertNotEqual(done.returncode, 0)
        text = done.stdout + done.stderr
        import base64
        body = json.dumps({"name": "x", "services": {"s": {"image": 1}}, "secrets": {"t": {"name": "t", "content": base64.b64encode(word.encode()).decode()}}})
        text += json.dumps(self.api("/projects/x", "PUT", body))
        text += (self.folder / "log").read_text()
        for form in word, base64.b64encode(word.encode()).decode():
            self.assertNotIn(form, text)


class SourcesTest(unittest.TestCase):
    """What cannot happen as no source has it (SECURITY.md)."""

    def places_of(self, expression):
        found = set()
        for folder in "engine", "api", "compose":
            for file in sorted((ROOT / folder).rglob("*.[ch]pp")):
                code = re.sub(r"//.*|\"(\\\\.|[^\"\\\\])*\"", "", file.read_text())
                if re.search(expression, code):
                    found.add(str(file.relative_to(ROOT)))
        return found

    def test_namespaces_are_changed_in_the_shim_and_on_threads_that_end_alone(self):
        outside = {file for file in self.places_of(r"\b(setns|unshare)\(") if not file.startswith("engine/shim/")}
        self.assertEqual(outside, {"engine/system/network_namespace.cpp", "engine/system/overlay_view.cpp"})
        for file in outside:
            self.assertIn("joined_thread", (ROOT / file).read_text(), file)

    def test_a_process_with_threads_does_not_fork(self):
        outside = {file for file in self.places_of(r"\b(v?fork|clone3?)\(") if not file.startswith("engine/shim/")}
        self.assertEqual(outside, {"engine/system/service_notice.cpp"})  # --daemonize, before there is a thread

    def test_no_library_looks_up_names_inside_and_nobody_signals_a_group(self):
        named = {file for file in self.places_of(r"\b(getpw\w+|getgr\w+)\(") if file.startswith("engine/")}
        self.assertEqual(named, {"engine/system/unix_socket.cpp"})  # whose the socket is
        self.assertEqual(self.places_of(r"\bchroot\(|\bkillpg\(|\bkill\(-|\b(system|popen)\("), set())


if __name__ == "__main__":
    unittest.main()
