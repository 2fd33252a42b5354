"""Services that a program of the person's provides: `provider: {type, options}`."""
import json
import os
import unittest

from harness import DaemonTest

# Writes down how it was called; what it says on up is in the file beside it.
PROGRAM = """#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
case "$2" in
metadata) [ -e "$here/metadata" ] && cat "$here/metadata" || exit 1;;
*) [ -e "$here/says" ] && cat "$here/says"; exit $(cat "$here/code" 2>/dev/null || echo 0);;
esac
"""
FILE = """
name: prov
services:
  web:
    image: busybox
    init: true
    command: sleep 1000
    environment: {RAW: own}
    depends_on: {cloud-db: {condition: service_healthy}}
  other: {image: busybox, init: true, command: sleep 1000}
  cloud-db:
    provider: {type: TYPE, options: {size: 256, tag: [a, b], type: mysql}}
"""


class ProviderTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.bin = self.folder / "bin"
        self.bin.mkdir()

    def provide(self, name="docker-testcloud", **files):
        program = self.bin / name
        program.write_text(PROGRAM)
        program.chmod(0o755)
        for file in "says", "code", "metadata", "calls":
            (self.bin / file).unlink(missing_ok=True)
        for file, text in files.items():
            (self.bin / file).write_text(text)

    def run_compose(self, *arguments, check=True):
        return self.compose(*arguments, check=check, env={"PATH": f"{self.bin}:{os.environ['PATH']}"})

    def calls(self):
        calls = (self.bin / "calls").read_text().splitlines() if (self.bin / "calls").exists() else []
        (self.bin / "calls").unlink(missing_ok=True)
        return [call for call in calls if call != "compose metadata"]

    @staticmethod
    def says(*messages):
        return "".join(json.dumps({"type": kind, "message": text}) + "\n" for kind, text in messages)

    def environment_of_web(self):
        return self.compose("exec", "-T", "web", "env").stdout.splitlines()

    def test_up_stop_and_down(self):
        self.write(FILE.replace("TYPE", "testcloud"))
        self.provide(says=self.says(("info", "at 25%\x1b[2J"), ("debug", "x"), ("setenv", "URL=http://a=b"), ("rawsetenv", "RAW=raw")))
        done = self.run_compose("up", "-d", "--wait")
        self.assertEqual(self.calls(), ["compose --project-name=prov up --size=256 --tag=a --tag=b --type=mysql cloud-db"])
        self.assertIn("at 25%", done.stderr)
        self.assertNotIn("\x1b[2J", done.stderr)
        self.assertIn('overrides environment variable "RAW"', done.stderr)
        self.assertIn("CLOUD-DB_URL=http://a=b", self.environment_of_web())
        self.assertIn("RAW=raw", self.environment_of_web())
        self.assertEqual(self.container("other")["state"], "running")
        # The same again changes nothing; another answer makes anew what depends on it.
        before = self.container("web")["id"]
        self.run_compose("up", "-d")
        self.assertEqual(self.container("web")["id"], before)
        self.provide(says=self.says(("setenv", "URL=http://c")))
        self.run_compose("up", "-d")
        self.assertNotEqual(self.container("web")["id"], before)
        self.calls()
        # Only where it is needed.
        self.run_compose("up", "-d", "other")
        self.run_compose("up", "-d", "--no-deps", "web")
        self.run_compose("pull", "--ignore-pull-failures", check=False)
        self.assertEqual(self.calls(), [])
        self.run_compose("run", "--rm", "web", "true")
        self.assertEqual(len(self.calls()), 1)
        self.run_compose("up", "-d", "cloud-db")
        self.assertEqual(len(self.calls()), 1)
        # Stop is for who says that it can.
        self.run_compose("stop", "-t", "0")
        self.assertEqual(self.calls(), [])
        self.provide(metadata='{"description": "d", "up": {"parameters": []}, "stop": {"parameters": [{"name": "size"}]}}')
        self.run_compose("stop", "-t", "0", "cloud-db")
        self.assertEqual(self.calls(), ["compose --project-name=prov stop --size=256 cloud-db"])
        self.run_compose("down", "-t", "0")
        self.assertEqual(self.calls(), ["compose --project-name=prov down --size=256 --tag=a --tag=b --type=mysql cloud-db"])
        self.assertEqual(self.containers(), [])

    def test_only_what_is_provided(self):
        self.write("name: prov\nservices: {db: {provider: {type: testcloud}}}\n")
        self.provide("testcloud")
        self.run_compose("up")
        self.run_compose("down")
        self.assertEqual(self.calls(), ["compose --project-name=prov up db", "compose --project-name=prov down db"])

    def test_what_fails(self):
        self.write(FILE.replace("TYPE", "testcloud"))

        def refused(expected):
            done = self.run_compose("up", "-d", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(expected, done.stderr)
            self.assertEqual(self.containers(), [])

        refused('service "cloud-db": there is no program for its provider "testcloud"; put docker-testcloud into PATH')
        self.provide(code="3")
        refused('service "cloud-db": its provider "testcloud" failed to up it: exit code 3')
        self.provide(says=self.says(("error", "no money")))
        refused('service "cloud-db": no money')
        for text in "not json", '{"type": "odd"}', '{"type": "setenv", "message": "NAME"}', "[]", "1" * 2_000_000:
            self.provide(says=text)
            refused("cloud-db" if len(text) < 100 else "more than a mebibyte")
        self.provide(metadata='{"up": {"parameters": [{"name": "zone", "required": true}]}}')
        refused('its provider "testcloud" needs the option "zone"')
        self.write(FILE.replace("TYPE", "../bin/docker-testcloud"))
        refused("is no type of a provider")
        answer = self.api("/projects/prov", "PUT", FILE, "application/yaml")
        self.assertIn("services.cloud-db.provider: its program is run by `compose up`", answer["message"])


if __name__ == "__main__":
    unittest.main()
