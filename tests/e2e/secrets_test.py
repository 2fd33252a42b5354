"""Secrets and configs: what containers see of them, that nobody else does, and what a change of one does."""
import base64
import contextlib
import json
import os
import pathlib
import resource
import secrets
import signal
import sqlite3
import subprocess
import unittest

from harness import BIN, DaemonTest, wait_until

SLEEPER = "image: busybox, init: true, command: sleep 1000"


class SecretsTest(DaemonTest):
    def setUp(self):
        self.marker = "marker" + secrets.token_hex(16)  # in every content
        super().setUp()

    def inside(self, service, command, *arguments, check=True):
        return self.compose("exec", "-T", *arguments, service, "sh", "-c", command, check=check).stdout

    def ids(self):
        return {each["service"]: each["id"] for each in self.containers()}

    def log_text(self):
        return (self.folder / "log").read_text()

    def assert_hidden(self, *texts):
        """The marker is nowhere on the host, in no form that it may have on its way."""
        forms = [self.marker.encode()] + [base64.b64encode(b" " * shift + self.marker.encode())[4:-4] for shift in range(3)]
        for root in self.state, self.run_folder, self.folder / "log":
            for file in [root] if root.is_file() else root.rglob("*"):
                if file.is_symlink() or not file.is_file():
                    continue
                content = file.read_bytes()
                for form in forms:
                    self.assertNotIn(form, content, file)
        for text in texts:
            self.assertNotIn(self.marker, text)
        for path in ("/projects", "/containers", "/secrets", "/configs"):
            self.assertNotIn(self.marker, json.dumps(self.api(path)))
        for project in self.api("/projects"):
            for path in "", "/revisions", "/revisions/1":
                self.assertNotIn(self.marker, json.dumps(self.api(f"/projects/{project['name']}{path}")))
        self.assertNotIn("secrets", pathlib.Path("/proc/mounts").read_text())

    def rows(self):
        """Keys of the table of sealed contents, as the file has them after the daemon's writes."""
        copy = self.folder / "look.db"
        for end in "", "-wal":
            source = pathlib.Path(f"{self.state}/state.db{end}")
            pathlib.Path(f"{copy}{end}").write_bytes(source.read_bytes() if source.exists() else b"")
        with contextlib.closing(sqlite3.connect(copy)) as store:
            return sorted(key for (key,) in store.execute("SELECT key FROM secret"))

    def all_sources(self):
        (self.project / "file").write_bytes(b"file \0\xff\n" + self.marker.encode())
        self.compose("secret", "create", "outer", "-", input=f"outer {self.marker}")
        self.compose("configs", "create", "-l", "a=b", "outer", "-", input=f"outer {self.marker}")
        self.write(f"""
name: all
services:
  a:
    image: busybox
    init: true
    command: sleep 1000
    secrets:
      - file
      - {{source: variable, target: renamed, uid: "100", gid: "200", mode: 0400}}
      - {{source: outer, target: /etc/outer.key, uid: "100", mode: "0440"}}
    configs:
      - file
      - {{source: variable, target: /etc/variable.conf, uid: "7", gid: "8", mode: 0640}}
      - {{source: text, target: /etc/deep/er/text.conf, mode: 0755}}
      - {{source: outer, target: /outer.conf}}
secrets:
  file: {{file: ./file}}
  variable: {{environment: VARIABLE}}
  outer: {{external: true}}
configs:
  file: {{file: ./file}}
  variable: {{environment: VARIABLE}}
  text: {{content: "text {self.marker} $$1 ${{VARIABLE}}\\n"}}
  outer: {{external: true, name: outer}}
""")
        return {"VARIABLE": "variable " + self.marker}

    FILES = {  # target: mode, uid, gid
        "/run/secrets/file": "444 0 0", "/run/secrets/renamed": "400 100 200", "/etc/outer.key": "440 100 0", "/file": "444 0 0",
        "/etc/variable.conf": "640 7 8", "/etc/deep/er/text.conf": "755 0 0", "/outer.conf": "444 0 0"}

    def check_all(self):
        for path, expected in self.FILES.items():
            self.assertEqual(self.inside("a", f"stat -c '%a %u %g' {path}"), expected + "\n", path)
            mount = next(line.split() for line in self.inside("a", "cat /proc/mounts").splitlines() if f" {path} " in line)
            self.assertEqual(mount[0:3], ["tmpfs", path, "tmpfs"])
            self.assertLessEqual({"ro", "nosuid", "nodev", "noexec"}, set(mount[3].split(",")))
            self.assertEqual(self.inside("a", f"echo x >> {path}; true"), "")
        self.assertEqual(base64.b64decode(self.inside("a", "base64 /run/secrets/file")), b"file \0\xff\n" + self.marker.encode())
        self.assertEqual(base64.b64decode(self.inside("a", "base64 /file")), b"file \0\xff\n" + self.marker.encode())
        self.assertEqual(self.inside("a", "cat /run/secrets/renamed /etc/variable.conf"), f"variable {self.marker}" * 2)
        self.assertEqual(self.inside("a", "cat /etc/outer.key /outer.conf"), f"outer {self.marker}" * 2)
        self.assertEqual(self.inside("a", "cat /etc/deep/er/text.conf"), f"text {self.marker} $1 variable {self.marker}\n")
        # As somebody else than root only what the mode lets.
        self.assertEqual(self.inside("a", "cat /run/secrets/renamed", "-u", "100"), f"variable {self.marker}")
        self.assertEqual(self.inside("a", "cat /run/secrets/renamed /etc/outer.key 2>/dev/null", "-u", "5:5", check=False), "")
        self.assertEqual(self.inside("a", "cat /outer.conf", "-u", "5"), f"outer {self.marker}")

    def test_every_source_arrives_with_its_owner_and_mode_and_nothing_is_left_on_the_host(self):
        environment = self.all_sources()
        before = pathlib.Path("/proc/self/mountinfo").read_text()
        done = self.compose("up", "-d", env=environment)
        self.assertNotIn("does not act", done.stderr)
        self.check_all()
        self.assertEqual(pathlib.Path("/proc/self/mountinfo").read_text(), before)
        self.assert_hidden(done.stdout, done.stderr)
        # The sources on the host are not needed any more.
        (self.project / "file").unlink()
        pid = self.container("a")["pid"]
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        self.assertEqual(self.container("a")["pid"], pid)
        self.check_all()
        self.stop_daemon()
        os.kill(pid, signal.SIGKILL)
        self.start_daemon()
        self.assert_hidden()

    def test_a_restart_by_policy_and_by_a_new_daemon_have_the_same_contents(self):
        secret = self.project / "file"
        secret.write_text(self.marker)
        self.write(f"name: again\nservices:\n  a: {{{SLEEPER}, restart: always, secrets: [file]}}\nsecrets: {{file: {{file: ./file}}}}\n")
        self.compose("up", "-d")
        secret.unlink()
        for daemon in True, False:
            with self.subTest(daemon=daemon):
                pid = self.wait_for_state("a", "running")["pid"]
                if not daemon:
                    self.stop_daemon(signal.SIGKILL)
                os.kill(pid, signal.SIGKILL)
                if not daemon:
                    self.start_daemon()
                wait_until(lambda: any(each["state"] == "running" and each["pid"] != pid for each in self.containers()), 15,
                           "the restart")
                self.assertEqual(self.inside("a", "cat /run/secrets/file"), self.marker)
        self.assert_hidden()

    def test_a_change_makes_anew_who_uses_it_and_says_so_and_a_rollback_brings_the_old_one_back(self):
        for name in "one", "two":
            (self.project / name).write_text(name + self.marker)
        self.write(f"""
name: change
services:
  a: {{{SLEEPER}, secrets: [db_password]}}
  b: {{{SLEEPER}, secrets: [other], configs: [text]}}
  c: {{{SLEEPER}}}
secrets: {{db_password: {{file: ./one}}, other: {{file: ./two}}}}
configs: {{text: {{content: "v${{V:-1}}"}}}}
""")
        self.compose("up", "-d")
        first = self.ids()
        self.compose("up", "-d")
        self.assertEqual(self.ids(), first)
        self.assertEqual(self.api("/projects/change")["revision"], 1)
        (self.project / "one").write_text("new" + self.marker)
        self.assertIn("recreate container change-a-1: secret db_password changed", self.compose("diff").stdout)
        self.assertIn("secret db_password changed", self.compose("up", "-d", "--dry-run").stdout)
        self.compose("up", "-d", "-t", "0")
        second = self.ids()
        self.assertEqual({name for name in first if first[name] != second[name]}, {"a"})
        self.assertEqual(self.inside("a", "cat /run/secrets/db_password"), "new" + self.marker)
        steps = self.api("/projects/change/revisions/2")["steps"]
        self.assertIn("secret db_password changed", [each["reason"] for each in steps])
        self.assertIn("service a changed: secret db_password", self.compose("history").stdout)
        self.compose("up", "-d", "-t", "0", env={"V": "2"})
        third = self.ids()
        self.assertEqual({name for name in second if second[name] != third[name]}, {"b"})
        self.assertIn("config text changed", json.dumps(self.api("/projects/change/revisions/3")["steps"]))
        self.assertEqual(self.inside("b", "cat /text"), "v2")
        (self.project / "one").unlink()
        self.compose("rollback", "1")
        self.assertEqual(self.inside("a", "cat /run/secrets/db_password"), "one" + self.marker)
        self.assertEqual(self.inside("b", "cat /text"), "v1")
        self.assertEqual(len(self.rows()), 5)
        self.assert_hidden()
        self.compose("down", "-t", "0")
        wait_until(lambda: self.rows() == [], 5, "what nobody refers to any more to be forgotten")

    def test_they_are_there_with_a_read_only_root_on_a_tmpfs_and_beside_a_volume(self):
        self.write(f"""
name: roots
services:
  a: {{{SLEEPER}, read_only: true, secrets: [s], configs: [c], user: "5:5"}}
  b: {{{SLEEPER}, tmpfs: [/run], secrets: [s], configs: [{{source: c, target: /data/c}}], volumes: ["data:/data"]}}
  d: {{{SLEEPER}, secrets: [s], privileged: true, scale: 2}}
  unused: {{{SLEEPER}, profiles: [off], secrets: [t]}}
  image: {{image: busybox, command: cat /run/secrets/s, secrets: [s]}}
secrets: {{s: {{environment: S}}, t: {{file: ./nowhere}}}}
configs: {{c: {{content: ""}}}}
volumes: {{data: }}
""")
        self.compose("up", "-d", env={"S": self.marker})
        for service in "a", "b", "d":
            self.assertEqual(self.inside(service, "cat /run/secrets/s"), self.marker)
        self.assertEqual(self.inside("d", "cat /run/secrets/s", "--index", "2"), self.marker)
        self.assertEqual(self.inside("a", "stat -c '%s %a' /c; touch /run/secrets/x 2>/dev/null; ls /run/secrets"), "0 444\ns\n")
        self.assertEqual(self.inside("b", "stat -c %s /data/c; umount /data/c 2>/dev/null; ls -A /data"), "0\nc\n")
        self.wait_for_state("image", "exited")
        self.assertIn(self.marker, self.compose("logs", "image").stdout)  # what a container itself prints is its own affair

    def test_a_definition_from_the_api_can_be_sent_back_but_not_for_another_project(self):
        self.write(f"name: sent\nservices: {{a: {{{SLEEPER}, secrets: [s]}}}}\nsecrets: {{s: {{environment: S}}}}\n")
        self.compose("up", "-d", env={"S": self.marker})
        definition = self.api("/projects/sent")["definition"]
        self.assertNotIn("content", definition["secrets"]["s"])
        definition["services"]["a"]["environment"] = {"A": "b"}
        lines = self.api("/projects/sent", "PUT", json.dumps(definition))
        self.assertEqual(lines[0]["revision"], 2, lines)
        self.wait_for_state("a", "running")
        self.assertEqual(self.inside("a", "cat /run/secrets/s; echo $A"), self.marker + "b\n")
        definition["name"] = "thief"
        refused = self.api("/projects/thief", "PUT", json.dumps(definition))
        self.assertEqual(refused["kind"], "invalid", refused)
        self.assertIn('secret "s" of project "thief": its content is neither here nor in the request', refused["message"])
        definition["secrets"]["s"]["content"] = "no base64 " + self.marker
        refused = self.api("/projects/thief", "PUT", json.dumps(definition))
        self.assertIn("secrets.s.content: is not base64", refused["message"])
        definition["secrets"]["s"]["content"] = base64.b64encode(b"x" * (500 * 1024 + 1)).decode()
        self.assertIn("500 KiB", self.api("/projects/thief", "PUT", json.dumps(definition))["message"])
        self.assert_hidden(json.dumps(refused))

    def test_contents_are_kept_as_long_as_a_revision_has_them(self):
        self.write(f"name: kept\nservices: {{a: {{{SLEEPER}, configs: [c]}}}}\nconfigs: {{c: {{content: 'v${{V}}'}}}}\n")
        for number in range(23):
            self.compose("up", "--no-start", env={"V": str(number)})
        wait_until(lambda: len(self.rows()) == 20, 5, "those of the revisions that are gone to be forgotten")
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        self.assertEqual(len(self.rows()), 20)
        self.compose("rollback", "4")
        self.compose("start")
        self.assertEqual(self.inside("a", "cat /c"), "v3")

    def test_no_core_has_them(self):
        (self.project / "file").write_text(self.marker)
        self.write(f"name: core\nservices:\n  a: {{{SLEEPER}, secrets: [file]}}\nsecrets: {{file: {{file: ./file}}}}\n")
        self.compose("up", "-d")
        shims = [pid for pid, command in self.processes() if command.startswith(f"{BIN}/composed-shim")]
        self.assertEqual(len(shims), 1)
        # What is in memory now: the shim has never seen it.
        for line in pathlib.Path(f"/proc/{shims[0]}/maps").read_text().splitlines():
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            if "[v" in line:
                continue
            with open(f"/proc/{shims[0]}/mem", "rb") as memory:
                memory.seek(begin)
                self.assertNotIn(self.marker.encode(), memory.read(end - begin))
        descriptors = [os.readlink(each) for each in pathlib.Path(f"/proc/{shims[0]}/fd").iterdir()]
        self.assertFalse([each for each in descriptors if "memfd" in each])
        if not self.dumps_core(subprocess.Popen(["sleep", "100"], cwd=self.folder)):
            self.skipTest("this host writes no core files")
        if not pathlib.Path("/proc/sys/kernel/core_pattern").read_text().startswith(("/", "|")):
            resource.prlimit(shims[0], resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            folder = os.readlink(f"/proc/{shims[0]}/cwd")
            watched = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # it is removed when the daemon hears of the end
            os.kill(shims[0], signal.SIGSEGV)
            wait_until(lambda: not pathlib.Path(f"/proc/{shims[0]}").exists(), 10, "the shim to end")
            self.assertFalse([each for each in os.listdir(watched) if each.startswith("core")])
            os.close(watched)
        self.assertFalse(self.dumps_core(self.daemon))
        self.log.close()
        self.daemon = None

    def dumps_core(self, process):
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        process.send_signal(signal.SIGSEGV)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = -os.WTERMSIG(status)
        return os.WCOREDUMP(status)

    def test_external_ones_are_made_listed_used_and_removed(self):
        secret, configs = self.project / "s", self.project / "c"
        secret.write_text(self.marker)
        configs.write_text("plain config")
        self.write(f"name: ext\nservices:\n  a: {{{SLEEPER}, secrets: [key], configs: [conf]}}\n"
                   "secrets: {key: {external: true, name: tls.key}}\nconfigs: {conf: {external: true}}\n")
        missing = self.compose("up", "-d", check=False)
        self.assertEqual(missing.returncode, 1)
        self.assertIn("secret tls.key declared as external, but could not be found", missing.stderr)
        self.assertIn("compose secret create tls.key FILE", missing.stderr)
        self.assertEqual(self.api("/projects"), [])
        self.assertEqual(self.compose("secret", "create", "tls.key", str(secret)).stdout, "tls.key\n")
        self.assertIn("compose configs create conf FILE", self.compose("up", "-d", check=False).stderr)
        self.compose("configs", "create", "--label", "team=web", "conf", str(configs))
        twice = self.compose("secret", "create", "tls.key", str(secret), check=False)
        self.assertIn('secret "tls.key" is there already', twice.stderr)
        self.compose("up", "-d")
        self.assertEqual(self.inside("a", "cat /run/secrets/key /conf"), self.marker + "plain config")
        self.assertRegex(self.compose("secret", "ls").stdout, r"NAME +CREATED +USED BY\ntls.key +\S.* ago +ext-a-1\n")
        self.assertEqual(self.compose("configs", "ls", "-q").stdout, "conf\n")
        listed = json.loads(self.compose("configs", "ls", "--format", "json").stdout)
        self.assertEqual([(each["name"], each["labels"], each["used_by"]) for each in listed], [("conf", {"team": "web"}, ["ext-a-1"])])
        used = self.compose("secret", "rm", "tls.key", "none", check=False)
        self.assertEqual(used.returncode, 1)
        self.assertIn('secret "tls.key" is in use by ext-a-1', used.stderr)
        self.assertIn('secret "none": there is none of that name', used.stderr)
        self.assertEqual(base64.b64decode(self.api("/configs/conf")["content"]), b"plain config")
        self.assertIn("takes DELETE", json.dumps(self.api("/secrets/tls.key")))
        self.assert_hidden()
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        self.compose("stop", "-t", "0")
        self.compose("start")
        self.assertEqual(self.inside("a", "cat /run/secrets/key"), self.marker)
        # Another one of the same name is another secret.
        self.compose("down", "-t", "0")
        self.compose("secret", "rm", "tls.key")
        self.compose("secret", "create", "tls.key", "-", input="other")
        self.compose("up", "-d")
        self.assertEqual(self.inside("a", "cat /run/secrets/key"), "other")
        self.compose("down", "-t", "0")
        self.assertEqual(self.compose("secret", "rm", "tls.key").stdout, "tls.key\n")
        self.assertEqual(self.compose("secret", "ls", "-q").stdout, "")

    def test_what_another_service_lacks_is_in_nobodys_way(self):
        text = (f"name: part\nservices:\n  t: {{{SLEEPER}, depends_on: [d]}}\n  d: {{{SLEEPER}, secrets: [own]}}\n  o: {{{SLEEPER}, secrets: [s], configs: [c]}}\n"
                "secrets: {s: {environment: COMPOSED_TEST_NONE}, own: {environment: OWN}}\nconfigs: {c: {file: ./none}}\n")
        self.write(text)
        self.compose("up", "-d", "t", env={"OWN": "x"})
        self.compose("run", "-T", "t", "true", env={"OWN": "x"})
        refused = self.compose("up", "-d", "t", check=False)
        self.assertIn('"OWN" is not set', refused.stderr)
        self.assertIn('"COMPOSED_TEST_NONE" is not set', self.compose("up", "-d", "o", check=False, env={"OWN": "x"}).stderr)
        # Who has it keeps it while another service is brought up without.
        (self.project / "none").write_text("c")
        everything = {"OWN": "x", "COMPOSED_TEST_NONE": "s"}
        self.compose("up", "-d", env=everything)
        before = self.container("o")["id"]
        self.compose("up", "-d", "t", env={"OWN": "x"})
        self.compose("restart", "-t", "0", "o")
        self.assertEqual(self.inside("o", "cat /run/secrets/s /c"), "sc")
        self.compose("up", "-d", env=everything)
        self.assertEqual(self.container("o")["id"], before)

    def test_one_below_a_read_only_mount_says_what_is_missing_there(self):
        (self.project / "app").mkdir()
        self.write(f"name: below\nservices:\n  a: {{{SLEEPER}, volumes: ['./app:/etc/app:ro'], secrets: [{{source: s, target: /etc/app/key}}]}}\nsecrets: {{s: {{environment: PATH}}}}\n")
        refused = self.compose("up", "-d", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn('"/etc/app/key" lies below "/etc/app", which is mounted read-only and has no such file', refused.stderr)
        (self.project / "app/key").touch()
        self.compose("up", "-d")
        self.assertEqual(self.inside("a", "cat /etc/app/key"), os.environ["PATH"])

    def test_what_is_wrong_is_named_with_what_to_do(self):
        (self.project / "big").write_bytes(b"x" * (500 * 1024 + 1))
        (self.project / "folder").mkdir()
        os.mkfifo(self.project / "pipe")
        for kind, source, messages in (
                ("secret", "{file: ./none}", ['secret "s"', f'{self.project}/none', "No such file", "make it"]),
                ("secret", "{file: ./pipe}", ["it is no regular file"]),
                ("secret", "{file: ./folder}", ['secret "s"', "Is a directory"]),
                ("config", "{file: ./big}", ['config "s"', "500 KiB"]),
                ("secret", "{environment: COMPOSED_TEST_NONE}", ['secret "s"', '"COMPOSED_TEST_NONE" is not set']),
                ("secret", "{external: true, driver: vault}", ["secrets.s.driver", '"vault" is not supported']),
                ("config", "{file: ./big, template_driver: golang}", ["configs.s.template_driver"]),
                ("config", "{content: a, template_driver: golang}", ["configs.s.template_driver"])):
            with self.subTest(source=source):
                self.write(f"name: bad\nservices:\n  a: {{{SLEEPER}, {kind}s: [s]}}\n{kind}s: {{s: {source}}}\n")
                self.assertEqual(self.compose("config", "-q", check=False).returncode, 0)
                done = self.compose("up", "-d", check=False)
                self.assertEqual(done.returncode, 1)
                for message in messages:
                    self.assertIn(message, done.stderr)
        for member, message in (("uid: me", "secrets[0].uid"), ("gid: '-1'", "secrets[0].gid")):
            self.write(f"name: bad\nservices:\n  a: {{{SLEEPER}, secrets: [{{source: s, {member}}}]}}\nsecrets: {{s: {{environment: PATH}}}}\n")
            self.assertIn(message, self.compose("up", "-d", check=False).stderr)
        big = self.compose("secret", "create", "big", str(self.project / "big"), check=False)
        self.assertIn("500 KiB", big.stderr)
        self.assertIn('"a/b"', self.compose("secret", "create", "a/b", "-", input="x", check=False).stderr)
        self.assertIn("No such file", self.compose("secret", "create", "a", "none", check=False).stderr)
        exact = self.project / "exact"
        exact.write_bytes(os.urandom(500 * 1024))
        self.write(f"name: good\nservices:\n  a: {{{SLEEPER}, secrets: [s]}}\nsecrets: {{s: {{file: ./exact}}}}\n")
        self.compose("up", "-d")
        self.assertEqual(base64.b64decode(self.inside("a", "base64 /run/secrets/s")), exact.read_bytes())

    def test_a_record_in_the_place_of_another_does_not_open(self):
        self.write(f"name: swap\nservices:\n  a: {{{SLEEPER}, secrets: [low]}}\n  b: {{{SLEEPER}, secrets: [high]}}\n"
                   "secrets: {low: {environment: LOW}, high: {environment: HIGH}}\n")
        self.compose("up", "-d", env={"LOW": "low", "HIGH": "high"})
        self.compose("stop", "-t", "0")
        self.stop_daemon()
        with contextlib.closing(sqlite3.connect(self.state / "state.db")) as store:
            (one, high), (other, low) = store.execute("SELECT key, value FROM secret ORDER BY key").fetchall()
            store.execute("UPDATE secret SET value = ? WHERE key = ?", (high, other))
            store.execute("UPDATE secret SET value = ? WHERE key = ?", (low, one))
            store.commit()
        self.start_daemon()
        for service, name in (("a", "low"), ("b", "high")):
            failed = self.compose("start", service, check=False)
            self.assertEqual(failed.returncode, 1)
            self.assertIn(f'secret "{name}" of project "swap" does not open', failed.stderr)
        self.compose("up", "-d", env={"LOW": "low", "HIGH": "high"})
        self.assertEqual(self.inside("a", "cat /run/secrets/low") + self.inside("b", "cat /run/secrets/high"), "lowhigh")

    def test_a_lost_or_wrong_key_stops_only_who_needs_it(self):
        (self.project / "file").write_text(self.marker)
        self.write(f"name: needs\nservices:\n  a: {{{SLEEPER}, secrets: [file]}}\nsecrets: {{file: {{file: ./file}}}}\n")
        self.write(f"name: other\nservices:\n  b: {{{SLEEPER}}}\n", "other.yaml")
        self.compose("up", "-d")
        self.compose("-f", "other.yaml", "up", "-d")
        key = self.state / "secret.key"
        good = key.read_bytes()
        self.assertEqual((len(good), key.stat().st_mode & 0o777), (32, 0o600))
        self.stop_daemon()
        for content, message in ((None, "is not there"), (b"short", "is not one: it must have 32 bytes"), (b"x" * 32, "does not open")):
            with self.subTest(message=message):
                key.unlink(missing_ok=True)
                if content is not None:
                    key.write_bytes(content)
                self.start_daemon()
                self.assertEqual(self.inside("a", "cat /run/secrets/file"), self.marker)  # it goes on
                self.compose("-f", "other.yaml", "restart", "-t", "0")
                failed = self.compose("restart", "-t", "0", check=False)
                self.assertEqual(failed.returncode, 1)
                self.assertIn(message, failed.stderr)
                self.assertIn(str(key), failed.stderr)
                self.assertEqual(key.exists(), content is not None, "no new key is made in its place")
                if content is None:
                    self.assertIn("composed --new-secret-key", failed.stderr)
                    self.assertIn("composed --new-secret-key", self.compose("up", "-d", check=False).stderr)
                self.stop_daemon()
                key.write_bytes(good)
                self.start_daemon()
                self.compose("start")
                self.stop_daemon()
        key.write_bytes(b"damaged")
        done = subprocess.run([BIN / "composed", "--instance", self.instance, "--state", self.state, "--run", self.run_folder,
                               "--config", "/dev/null", "--new-secret-key"], text=True, capture_output=True, timeout=20)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.state / "secret.key.old-1").read_bytes(), b"damaged")
        self.start_daemon()
        self.compose("up", "-d", "-t", "0")
        self.assertEqual(self.inside("a", "cat /run/secrets/file"), self.marker)
        self.assert_hidden()


class StackFolderTest(DaemonTest):
    def setUp(self):
        self.stacks = pathlib.Path(f"/dev/shm/composed-stacks-{os.getpid()}")
        self.stacks.mkdir()
        self.addCleanup(subprocess.run, ["rm", "-rf", self.stacks])
        self.arguments = ("--stacks", self.stacks)
        super().setUp()

    def test_a_stack_of_the_folder_follows_its_secret(self):
        stack = self.stacks / "shop"
        stack.mkdir()
        (stack / "key").write_text("one")
        (stack / "compose.yaml").write_text(f"services:\n  a: {{{SLEEPER}, stop_signal: KILL, secrets: [key]}}\nsecrets: {{key: {{file: ./key}}}}\n")
        self.wait_for_state("a", "running", 30)

        def content():
            return self.compose("-p", "shop", "exec", "-T", "a", "cat", "/run/secrets/key", check=False).stdout

        self.assertEqual(content(), "one")
        self.assertEqual(self.api("/projects/shop")["revision"], 1)
        (stack / "key").write_text("marker-two")
        wait_until(lambda: content() == "marker-two", 30, "the container to be made anew")
        self.assertEqual(self.api("/projects/shop")["revision"], 2)
        self.assertNotIn("marker-two", json.dumps(self.api("/projects/shop")))


if __name__ == "__main__":
    unittest.main()
