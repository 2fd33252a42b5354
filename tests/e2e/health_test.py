"""Health checks in every form that a file or an image can give them."""
import pathlib
import time
import unittest

from harness import DaemonTest, wait_until
from image_test import archive_of, busybox_layer

SLEEP = "image: busybox, init: true, command: sleep 1000"
QUICK = "interval: 100ms, timeout: 2s, retries: 2"


class HealthTest(DaemonTest):
    def up(self, services, *arguments):
        self.write("name: health\nservices:\n" + "".join(f"  {name}: {{{text}}}\n" for name, text in services.items()))
        return self.compose("up", "-d", *arguments)

    def wait_for_health(self, service, health):
        wait_until(lambda: self.container(service).get("health") == health, 15, f"{service} to be {health}")

    def test_every_form_of_a_test(self):
        forms = {"exec": '[CMD, test, -e, /bin/busybox]', "shell": '[CMD-SHELL, "test -e /bin/busybox && exit 0"]',
                 "text": '"test -e /bin/busybox && exit 0"'}
        ill = {"exec-ill": "[CMD, test, -e, /none]", "shell-ill": '[CMD-SHELL, "exit 7"]', "text-ill": "exit 1", "no-program": "[CMD, /none]"}
        self.up({name: f"{SLEEP}, healthcheck: {{test: {test}, {QUICK}}}" for name, test in {**forms, **ill}.items()})
        for name in forms:
            self.wait_for_health(name, "healthy")
        for name in ill:
            self.wait_for_health(name, "unhealthy")
        self.assertIn("(unhealthy)", self.compose("ps", "exec-ill").stdout)

    def test_none_at_all(self):
        self.up({"none": f"{SLEEP}, healthcheck: {{test: [NONE]}}", "disable": f"{SLEEP}, healthcheck: {{disable: true}}", "plain": SLEEP},
                "--wait")
        for name in "none", "disable", "plain":
            self.assertNotIn("health", self.container(name))

    def test_what_is_none_is_refused(self):
        for test in "[]", "[CMD]", "[CMD-SHELL]", "[WHAT, true]", "{a: b}":
            self.write(f"name: health\nservices: {{a: {{{SLEEP}, healthcheck: {{test: {test}}}}}}}\n")
            done = self.compose("up", "-d", check=False)
            if test == "[]":  # as if it were not there
                self.assertEqual(done.returncode, 0, done.stderr)
                continue
            self.assertEqual(done.returncode, 1, test)
            self.assertIn("healthcheck.test", done.stderr)

    def load_with_a_check(self, check):
        file = self.folder / "image.tar"
        file.write_bytes(archive_of([busybox_layer()], "checked:1", config={"Healthcheck": check}))
        self.compose("load", "-i", str(file))

    def test_that_of_the_image(self):
        self.load_with_a_check({"Test": ["CMD-SHELL", "test -e /well"], "Interval": 100_000_000, "Timeout": 1_000_000_000, "Retries": 2})
        checked = "image: 'checked:1', init: true, command: sleep 1000"
        self.up({"own": checked, "off": f"{checked}, healthcheck: {{disable: true}}", "none": f"{checked}, healthcheck: {{test: NONE}}",
                 "none-list": f"{checked}, healthcheck: {{test: [NONE]}}",
                 "other": f"{checked}, healthcheck: {{test: [CMD, 'true']}}", "slower": f"{checked}, healthcheck: {{interval: 1h}}"})
        self.wait_for_health("own", "unhealthy")
        self.compose("exec", "-T", "own", "touch", "/well")
        self.wait_for_health("own", "healthy")
        self.wait_for_health("other", "healthy")  # with the image's interval
        self.assertNotIn("health", self.container("off"))
        self.assertNotIn("health", self.container("none-list"))
        self.assertEqual(self.container("slower")["health"], "starting")  # the image's test at another interval

    def test_start_period_and_start_interval(self):
        check = "test: 'echo >>/probes; test -e /well', interval: 1h, start_interval: 100ms, start_period: 1m, retries: 1"
        self.up({"slow": f"{SLEEP}, healthcheck: {{{check}}}", "over": f"{SLEEP}, healthcheck: {{test: 'false', interval: 100ms,"
                         "start_interval: 100ms, start_period: 500ms, retries: 2}"})
        wait_until(lambda: len(self.compose("exec", "-T", "slow", "sh", "-c", "cat /probes 2>/dev/null; true").stdout) > 5, 10, "probes")
        self.assertEqual(self.container("slow")["health"], "starting")  # failures do not count yet
        self.compose("exec", "-T", "slow", "touch", "/well")
        self.wait_for_health("slow", "healthy")
        self.wait_for_health("over", "unhealthy")
        before = self.compose("exec", "-T", "slow", "cat", "/probes").stdout
        time.sleep(0.5)
        self.assertEqual(self.compose("exec", "-T", "slow", "cat", "/probes").stdout, before)  # an hour from now on

    def test_a_probe_that_takes_too_long_ends_with_all_it_has_begun(self):
        script = "sleep 7001 & setsid sleep 7002 & (sleep 7003 & sleep 7004) & wait"
        self.up({"a": f"{SLEEP}, healthcheck: {{test: '{script}', interval: 100ms, timeout: 500ms, retries: 2}}"})
        self.wait_for_health("a", "unhealthy")

        def left():
            found = []
            for process in pathlib.Path("/proc").glob("[0-9]*"):
                try:
                    command = (process / "cmdline").read_bytes()
                    if b"sleep\x00700" in command and self.instance in (process / "cgroup").read_text():
                        found.append((int(process.name), command))
                except OSError:
                    continue
            return found

        # Those of one probe at most, however many there were.
        time.sleep(2)
        self.assertLessEqual(len(left()), 4, left())

    def test_a_probe_that_floods_is_not_held(self):
        self.up({"a": f"{SLEEP}, healthcheck: {{test: 'head -c 50000000 /dev/zero', {QUICK}}}"})
        self.wait_for_health("a", "healthy")


if __name__ == "__main__":
    unittest.main()
