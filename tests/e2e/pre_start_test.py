"""pre_start: what must have ended well, in containers of its own, before a new container of a service starts."""
import os
import signal
import subprocess
import time
import unittest

from harness import BIN, DaemonTest, busybox_archive, wait_until


class PreStartTest(DaemonTest):
    def up(self, keys, *arguments, command="sleep 100000", check=True, more=""):
        self.define(keys, command, more)
        return self.compose("up", "-d", "-t", "0", *arguments, check=check)

    def define(self, keys, command="sleep 100000", more=""):
        self.notes = self.folder / "notes"
        self.notes.mkdir(exist_ok=True)
        self.notes.chmod(0o777)
        self.write(f"name: pre\nservices:\n  s:\n    image: busybox\n    init: true\n    command: {command}\n"
                   f"    volumes: ['{self.notes}:/notes', 'data:/data', '/own']\n"
                   + "".join(f"    {line}\n" for line in keys.splitlines()) + more + "volumes: {data: }\n")

    def notes_in(self, name="steps"):
        file = self.notes / name
        return file.read_text().split("\n")[:-1] if file.exists() else []

    def begin(self, *arguments):
        """A client that goes on beside the test."""
        environment = {**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"}
        client = subprocess.Popen([BIN / "compose", *arguments], cwd=self.project, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, env=environment)
        self.addCleanup(client.wait)
        return client

    def states(self):
        return {each["name"]: each["state"] for each in self.containers()}

    def test_steps_run_in_order_before_the_start_and_once(self):
        keys = ("environment: {FROM: service, OTHER: kept}\n"
                "pre_start:\n"
                "  - command: [sh, -c, 'echo first $$FROM $$OTHER >>/notes/steps; chmod 666 /notes/steps; echo made >/data/made; echo own >/own/made; chmod 777 /own']\n"
                "  - {command: \"sh -c 'echo second $$FROM $$(id -u) $$PWD >>/notes/steps'\", user: '1000', working_dir: /tmp, environment: {FROM: step}}")
        self.up(keys, command="sh -c 'cat /data/made /own/made >>/notes/steps; sleep 100000'")
        wait_until(lambda: len(self.notes_in()) == 4, 10, "the service's own lines")
        self.assertEqual(self.notes_in(), ["first service kept", "second step 1000 /tmp", "made", "own"])
        self.assertEqual(self.states(), {"pre-s-1": "running"})  # nothing is left of the steps
        self.compose("up", "-d")
        self.compose("restart", "-t", "0")
        self.compose("stop", "-t", "0")
        self.compose("start")
        self.compose("up", "-d", "--scale", "s=3")
        self.assertEqual([each for each in self.notes_in() if each.startswith(("first", "second"))], ["first service kept", "second step 1000 /tmp"])
        self.compose("up", "-d", "--force-recreate", "-t", "0")  # a new container is prepared anew
        self.assertEqual(self.notes_in().count("first service kept"), 2)

    def test_a_changed_step_makes_the_service_anew(self):
        self.up("pre_start: [{command: [sh, -c, 'echo one >>/notes/steps']}]")
        first = self.container("s")["id"]
        self.up("pre_start: [{command: [sh, -c, 'echo two >>/notes/steps']}]")
        self.assertNotEqual(self.container("s")["id"], first)
        self.assertEqual(self.notes_in(), ["one", "two"])

    def test_one_that_fails_is_told_and_tried_again_from_there(self):
        keys = ("pre_start:\n"
                "  - command: [sh, -c, 'echo first >>/notes/steps']\n"
                "  - command: [sh, -c, 'test -e /notes/schema || { echo no schema; exit 3; }; echo second >>/notes/steps']")
        more = "  t: {image: busybox, init: true, command: sleep 100000, depends_on: [s]}\n"
        failed = self.up(keys, check=False, more=more)
        self.assertEqual(failed.returncode, 1)
        self.assertIn('service "s": pre_start[1] failed: container "pre-s-pre_start-1" exited (3): no schema', failed.stderr)
        self.assertEqual(self.states(), {"pre-s-1": "created", "pre-s-pre_start-1": "exited", "pre-t-1": "created"})
        self.assertIn("no schema", self.compose("logs", "s").stdout)
        (self.notes / "schema").touch()
        self.compose("up", "-d")
        self.assertEqual(self.notes_in(), ["first", "second"])
        self.assertEqual(self.states(), {"pre-s-1": "running", "pre-t-1": "running"})

    def test_one_that_cannot_be_started_is_told(self):
        failed = self.up("pre_start: [{command: [no-such-program]}]", check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn("pre_start[0]", failed.stderr)
        self.assertIn("no-such-program", failed.stderr)
        self.compose("down")
        self.assertEqual(self.containers(), [])

    def test_once_for_all_replicas_or_for_each(self):
        self.up("scale: 3\npre_start:\n"
                "  - command: [sh, -c, 'echo once >>/notes/steps; sleep 0.5']\n"
                "  - {command: [sh, -c, 'echo each >>/notes/steps'], per_replica: true}")
        self.assertEqual(sorted(self.notes_in()), ["each", "each", "each", "once"])
        self.assertEqual(self.notes_in()[0], "once")
        self.compose("up", "-d", "--scale", "s=4")
        self.assertEqual(sorted(self.notes_in()), ["each"] * 4 + ["once"])

    def test_what_steps_have_said_is_shown(self):
        keys = ("scale: 2\nstop_grace_period: 0s\npre_start:\n"
                "  - command: [sh, -c, 'echo migrated; echo badly >&2']\n"
                "  - {command: [sh, -c, 'echo each'], per_replica: true}")
        self.define(keys, command="sh -c 'echo runs; sleep 1'")
        attached = self.compose("up").stdout
        for lines in attached, self.compose("logs", "s").stdout:
            said = sorted(line.replace(" ", "") for line in lines.splitlines() if "|" in line)
            self.assertEqual(said, ["s-1|runs", "s-2|runs", "s-pre_start-0|badly", "s-pre_start-0|migrated",
                                    "s-pre_start-1-1|each", "s-pre_start-1-2|each"])
        self.compose("up", "-d")
        self.assertEqual(self.compose("logs", "s").stdout.count("migrated"), 1)
        self.compose("down", "-t", "0")
        self.assertEqual(list(self.state.glob("former/pre")), [])

    def test_an_image_of_its_own_with_its_own_entrypoint(self):
        subprocess.run(["skopeo", "copy", "--quiet", "--insecure-policy", f"docker-archive:{busybox_archive()}",
                        f"docker-archive:{self.folder}/other.tar:other:1"], check=True)
        keys = "entrypoint: [sleep, '100000']\npull_policy: never\npre_start: [{image: 'other:1', command: [sh, -c, 'echo mine >>/notes/steps']}]"
        failed = self.up(keys, command="''", check=False)  # it is not here, and not to be pulled
        self.assertEqual(failed.returncode, 1)
        self.assertIn('image "other:1"', failed.stderr)
        self.assertEqual(self.containers(), [])
        self.compose("load", "-i", str(self.folder / "other.tar"))
        self.compose("up", "-d")
        self.assertEqual(self.notes_in(), ["mine"])

    def test_it_is_on_the_networks_and_reaches_what_the_service_depends_on(self):
        more = "  db: {image: busybox, init: true, command: sh -c 'mkdir /w; echo row >/w/index.html; httpd -f -p 80 -h /w'}\n"
        self.up("depends_on: [db]\nports: ['127.0.0.1:18191:80']\npre_start: [{command: [sh, -c, 'until wget -q -O- http://db >>/notes/steps; do sleep 0.1; done']}]", more=more)
        self.assertEqual(self.notes_in(), ["row"])

    def test_a_daemon_that_dies_over_one_carries_it_on(self):
        self.define("pre_start:\n"
                    "  - command: [sh, -c, 'echo first >>/notes/steps; until test -e /notes/go; do sleep 0.05; done; echo done >>/notes/steps']\n"
                    "  - command: [sh, -c, 'echo second >>/notes/steps']")
        client = self.begin("up", "-d")
        wait_until(lambda: self.notes_in() == ["first"], 10, "the first step")
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        time.sleep(0.5)
        self.assertEqual(self.notes_in(), ["first"])  # it goes on and is awaited
        (self.notes / "go").touch()
        wait_until(lambda: self.states() == {"pre-s-1": "running"}, 15, "the service to run")
        self.assertEqual(self.notes_in(), ["first", "done", "second"])
        client.wait()

    def test_what_comes_after_an_up_does_not_wait_for_it(self):
        self.define("pre_start: [{command: [sh, -c, 'echo first >>/notes/steps; sleep 1000']}]")
        clients = [self.begin("up", "-d")]
        wait_until(lambda: self.notes_in() == ["first"], 10, "the step")
        clients.append(self.begin("up", "-d"))
        time.sleep(0.3)
        self.assertEqual(self.notes_in(), ["first"])  # the second awaits the same
        start = time.monotonic()
        self.compose("stop", "-t", "0")
        self.assertLess(time.monotonic() - start, 15)
        self.assertEqual([client.wait(15) for client in clients], [1, 1])
        self.assertEqual(self.states(), {"pre-s-1": "created"})
        self.compose("down")
        self.assertEqual(self.containers(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
