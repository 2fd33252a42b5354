"""The daemon dies at each of its crash points, one after another; the next one brings the host to what was asked for, and nothing
is left over. The points are found by letting each operation pass all of them once: a new one is covered by itself.
"""
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from harness import DaemonTest, ROOT, busybox_archive, serve_registry, wait_until

# What is walked: of each operation every point, the first and the last time that it is passed; by hand every time
# (COMPOSED_CRASH_ALL=1, five minutes) or a part for a quick look (COMPOSED_CRASH_STEP=7: one of seven).
ALL = "COMPOSED_CRASH_ALL" in os.environ
STEP = int(os.environ.get("COMPOSED_CRASH_STEP", "1"))

STACK = """name: walk
services:
  db: {image: '%(image)s', init: true, command: sleep 1000, restart: always, volumes: ['data:/etc'], networks: [back],
       post_start: [{command: [sh, -c, 'echo first $$(cut -d" " -f22 /proc/1/stat) >>/etc/hooks']},
                    {command: [sh, -c, 'echo second $$(cut -d" " -f22 /proc/1/stat) >>/etc/hooks']}]}
  web: {image: '%(image)s', init: true, command: %(command)s, restart: always, ports: ['127.0.0.1:18175:80'], networks: [front, back],
        depends_on: [db], environment: {ROUND: '%(web)s'}, configs: [text]%(update)s}
  side: {image: '%(image)s', init: true, command: sleep 1000, networks: [front], depends_on: {web: {condition: service_started, restart: true}}}
  %(extra)s: {image: '%(image)s', init: true, command: sleep 1000, networks: [front], pre_start: [{command: ['true']}]}
networks: {front: {labels: {r: '%(round)d'}}, back: {internal: %(internal)s}}
volumes: {data: }
configs: {text: {content: 'round %(round)d'}}
"""
UPDATE = ", deploy: {update_config: {order: start-first, monitor: 100ms, failure_action: rollback}}"
RUNNING = {"db": "running", "web": "running", "side": "running"}


class CrashPointsTest(DaemonTest):
    def setUp(self):
        registry_folder = pathlib.Path(tempfile.mkdtemp(prefix="composed-registry-"))
        self.addCleanup(shutil.rmtree, registry_folder, True)
        registry, stop = serve_registry(registry_folder / "data", registry_folder)
        self.addCleanup(stop)
        subprocess.run(["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false",
                        f"docker-archive:{busybox_archive()}", f"docker://{registry}/library/small:1"], check=True)
        self.image = f"{registry}/library/small:1"
        super().setUp()
        self.api("/images/busybox", method="DELETE")  # it has the same layer
        self.arm = self.folder / "arm"
        self.passed = self.folder / "passed"

    def compose(self, *arguments, **more):
        """Who asked is gone with the daemon: what follows is the next one's alone."""
        return super().compose(*arguments, env={"COMPOSED_RECONNECT": "0"}, **more)

    def stack(self, round, web=None, command="sleep 1000", update=""):
        self.write(STACK % {"image": self.image, "round": round, "web": web or round, "command": command, "update": update, "extra": "one" if round == 1 else "two",
                            "internal": "false" if round == 1 else "true"})

    def with_daemon(self, program, **environment):
        self.program, self.environment = program, environment
        self.start_daemon()

    def states(self):
        return {each["service"]: each["state"] for each in self.containers()}

    def expect(self, services, networks, volumes):
        """What runs is what was asked for, and of everything on the host there is just what that needs."""
        def whole():
            return self.states() == services and not self.busy()
        wait_until(whole, 15, lambda: f"{services}, where there is {self.states()}")
        if services.get("side") == "running":
            wait_until(self.side_has_followed, 5, "what depends on web to have begun anew with it")
        if services.get("db") == "running":
            wait_until(lambda: len(self.hooks_of_run()) >= 2, 5, "the hooks of db")
            self.assertIn(self.hooks_of_run(), (["first", "second"], ["first", "first", "second"], ["first", "second", "second"]))
        alive = {name for name, state in services.items() if state in ("running", "paused")}
        running = len(alive)
        endpoints = {"db": 1, "web": 2}
        veths = sum(endpoints.get(name, 1) for name in alive)
        def clean():
            return self.on_host() == {"shims": running, "bridges": networks, "veths": veths, "volumes": volumes,
                                      "ports": int("web" in alive), "folders": len(services)}
        try:
            wait_until(clean, 15, "the host")
        except AssertionError:
            raise AssertionError(f"on the host for {services}: {self.on_host()}") from None

    def side_has_followed(self):
        started = {each["service"]: each["started"] for each in self.containers() if each["state"] in ("running", "paused")}
        return started.keys() >= {"side", "web"} and started["side"] > started["web"]

    def hooks_of_run(self):
        """Those that have run since db was started last; the one that a daemon died over may have done so twice."""
        began = pathlib.Path(f"/proc/{self.container('db')['pid']}/stat").read_text().split()[21]
        ran = [line.split() for line in (self.state / "volume/walk_data/_data/hooks").read_text().splitlines()]
        return [hook for hook, run in ran if run == began]

    def busy(self):
        return any(each["state"] in ("starting", "stopping", "restarting") for each in self.containers())

    def on_host(self):
        table = subprocess.run(["nft", "-j", "list", "map", "ip", self.instance, "pub_addr"], text=True, capture_output=True).stdout
        [ports] = [each["map"] for each in json.loads(table)["nftables"] if "map" in each]
        links = os.listdir("/sys/class/net")
        return {"shims": sum("composed-shim" in command for _, command in self.processes()),
                "bridges": sum(link.startswith(f"b{self.tag()}-") for link in links),
                "veths": sum(link.startswith(f"v{self.tag()}-") for link in links),
                "volumes": len(list((self.state / "volume").iterdir())),
                "ports": len(ports.get("elem", [])),
                "folders": len(list((self.state / "container").iterdir()))}

    def operations(self):
        """Each: its name, what makes the host ready for it, the operation, and what there must be after it."""
        first = {**RUNNING, "one": "running"}
        second = {**RUNNING, "two": "running"}
        ended = {name: "exited" for name in first}

        def up():
            return self.compose("up", "-d", "--remove-orphans", "-t", "0", check=False)

        def fresh():
            self.stack(1)
            self.compose("down", "-v", "--remove-orphans", "-t", "0", check=False)
            self.api(f"/images/{self.image}", method="DELETE")

        def at_work():
            self.stack(1)
            self.assertEqual(up().returncode, 0)

        def old():
            at_work()
            self.stack(2)

        def up_to_date(web, command):
            self.stack(1, update=UPDATE)
            self.assertEqual(up().returncode, 0)
            self.stack(1, web, command, UPDATE)

        def stopped():
            at_work()
            self.compose("stop", "-t", "0")

        def rested():
            at_work()
            self.compose("restart", "-t", "0", "web")  # by hand: the delays begin anew

        def kill():
            before = self.container("web")
            os.kill(before["pid"], signal.SIGKILL)
            wait_until(lambda: self.daemon.poll() is not None
                       or (self.container("web")["restart_count"] > before["restart_count"] and self.states()["web"] == "running"),
                       5, "the restart")

        def compose(*arguments):
            return lambda: self.compose(*arguments, check=False)

        def awake():
            at_work()
            self.compose("unpause", "web", check=False)

        def pause():
            done = self.compose("pause", "web", check=False)
            if "is already paused" in done.stderr:
                done.returncode = 0  # the next daemon has carried on with it
            return done

        yield "up", fresh, up, (first, 2, 1)
        yield "up of another definition", old, up, (second, 2, 1)
        yield "up that updates", lambda: up_to_date(3, "sleep 1001"), up, (first, 2, 1)
        yield "up that goes back", lambda: up_to_date(4, "'false'"), up, (first, 2, 1)
        yield "stop", at_work, compose("stop", "-t", "0"), (ended, 2, 1)
        yield "start", stopped, compose("start"), (first, 2, 1)
        yield "restart", at_work, compose("restart", "-t", "0"), (first, 2, 1)
        yield "a container's death", rested, kill, (first, 2, 1)
        yield "pause", awake, pause, ({**first, "web": "paused"}, 2, 1)
        yield "down -v", at_work, compose("down", "-v", "-t", "0"), ({}, 0, 0)

    def run_once(self, prepare, operation, turn):
        """The operation with a daemon that dies at the `turn`th point it passes (0: at none); whether it did. The points passed
        are in self.passed."""
        self.with_daemon("composed")
        prepare()
        self.stop_daemon()
        self.passed.unlink(missing_ok=True)
        self.with_daemon("composed-crash", COMPOSED_CRASH_ARM=str(self.arm), COMPOSED_CRASH_LOG=str(self.passed))
        wait_until(lambda: not self.busy(), 10, "the new daemon to be at rest")
        self.arm.write_text(str(turn))
        try:
            operation()
        except (AssertionError, subprocess.CalledProcessError, IndexError):
            pass  # it died meanwhile
        finally:
            self.arm.unlink()
        died = 0 < turn <= len(self.points())
        if died:
            self.assertEqual(self.daemon.wait(5), -signal.SIGKILL)
            self.log.close()
        else:
            self.stop_daemon()
        return died

    def points(self):
        return self.passed.read_text().splitlines() if self.passed.exists() else []

    def test_every_point(self):
        began = time.monotonic()
        self.stop_daemon()
        passed = collections.Counter()
        crashes = 0
        for name, prepare, operation, wanted in self.operations():
            self.run_once(prepare, operation, 0)
            points = self.points()
            passed.update(points)
            for turn in self.turns(points)[::STEP]:
                died = self.run_once(prepare, operation, turn)
                crashes += died
                with self.subTest(operation=name, turn=turn, point=(self.points() or ["none"])[-1]):
                    self.recover(name, operation, wanted)
        names = set(passed)
        print(f"{crashes} crashes at {len(names)} crash points ({sum(passed.values())} passages of 10 operations) in "
              f"{time.monotonic() - began:.0f} s")
        self.assertEqual(self.named_in_sources() - names, set(), "points that no operation here passes")
        self.with_daemon("composed")

    @staticmethod
    def turns(points):
        places = collections.defaultdict(list)
        for turn, point in enumerate(points, 1):
            places[point].append(turn)
        return sorted({turn for found in places.values() for turn in (found if ALL else (found[0], found[-1]))})

    def recover(self, name, operation, wanted):
        self.with_daemon("composed")
        try:
            # What the daemon has taken in it carries on with by itself; else whoever asked asks again.
            if name == "up that goes back":
                if not self.is_taken_in():
                    self.assertEqual(operation().returncode, 1)
                wait_until(lambda: self.ends_of_web() == {"1"}, 20, "what there was before")
            elif name not in ("up", "up of another definition", "up that updates", "a container's death"):
                done = operation()
                if "there is nothing of that name to take down" not in done.stderr:
                    self.assertEqual(done.returncode, 0, done.stderr)
            elif name != "a container's death" and not self.is_taken_in():
                done = operation()
                self.assertEqual(done.returncode, 0, done.stderr)
            self.expect(*wanted)
        finally:
            self.stop_daemon()

    def ends_of_web(self):
        """What the project is to be, and what there is of it."""
        definition = self.api("/projects/walk")["definition"]["services"]["web"]["environment"]["ROUND"]
        names = {each["name"] for each in self.containers("web")}
        return {definition, *(names - {"walk-web-1"})}

    def is_taken_in(self):
        """Whether the definition that was asked for is the project's."""
        [found] = [each for each in self.api_list("/projects") if each["name"] == "walk"] or [None]
        if found is None:
            return False
        services = self.api("/projects/walk")["definition"]["services"]
        return services["web"]["environment"]["ROUND"] == re.search("ROUND: '(.)'", (self.project / "compose.yaml").read_text())[1]

    def api_list(self, path):
        found = self.api(path)
        return found if isinstance(found, list) else [found]

    @staticmethod
    def named_in_sources():
        """The points that have a name of their own; those of steps and commits have it from what they are."""
        found = set()
        for source in (ROOT / "engine").rglob("*.cpp"):
            found.update(re.findall(r'crash_point\(\s*"([^"]+)"\s*\)', source.read_text()))
        return found


if __name__ == "__main__":
    unittest.main(verbosity=2)
