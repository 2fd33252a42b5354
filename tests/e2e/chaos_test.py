"""Everything at once, at random, from a seed: two minutes by default, COMPOSED_CHAOS_SECONDS for more. What one person asks for and what
others break, the daemon's own death included; whenever it is quiet, what was asked for is what there is.
"""
import collections
import json
import os
import random
import signal
import subprocess
import threading
import time
import unittest

from harness import BIN, DaemonTest, wait_until

SEED = int(os.environ.get("COMPOSED_TEST_SEED", "20261123"))
SECONDS = float(os.environ.get("COMPOSED_CHAOS_SECONDS", "120"))
PROJECTS = "red", "green", "blue"
SERVICES = "db", "api", "web", "job"


class Stack:
    """What was asked for of a project, as the one who asked sees it."""

    def __init__(self, name):
        self.name = name
        self.up = False       # there is something of it
        self.scale = {}       # by service
        self.environment = 0  # changes the definition
        self.stopped = set()  # services, by hand
        self.revisions = 0
        self.rows = 0         # acknowledged

    def text(self):
        services = {
            "db": {"restart": "always", "volumes": ["rows:/rows"], "healthcheck": {"test": "true", "interval": "200ms"}},
            "api": {"restart": "always", "depends_on": {"db": {"condition": "service_healthy"}}},
            "web": {"restart": "unless-stopped", "depends_on": {"api": {"condition": "service_started", "restart": True}},
                    "networks": ["default", "front"]},
            "job": {"restart": "on-failure", "command": "true"}}
        for service, definition in services.items():
            definition.update({"image": "busybox", "init": True, "scale": self.scale.get(service, 1), "stop_grace_period": "1s",
                               "environment": {"ROUND": str(self.environment)}})
            definition.setdefault("command", "sleep 100000")
        return json.dumps({"name": self.name, "services": services, "networks": {"front": {}}, "volumes": {"rows": {}}})


class ChaosTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.chance = random.Random(SEED)
        self.stacks = {name: Stack(name) for name in PROJECTS}
        self.done = collections.Counter()
        self.past = collections.deque(maxlen=30)

    def file_of(self, stack):
        """What is before a command on the stack, as it is wanted now."""
        path = self.folder / f"{stack.name}.yaml"
        path.write_text(stack.text())
        return "-f", str(path), "-p", stack.name

    def stack_compose(self, stack, *arguments, check=True):
        return self.compose(*self.file_of(stack), *arguments, check=check)

    def client(self, *arguments):
        return subprocess.Popen([BIN / "compose", *arguments], cwd=self.project, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, env={**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"})

    # What a person does

    def do_up(self, stack):
        if self.chance.random() < 0.5:
            stack.environment += 1
        stack.scale = {service: self.chance.choice((1, 1, 1, 2)) for service in SERVICES}
        self.stack_compose(stack, "up", "-d", "--remove-orphans", "-t", "1")
        stack.up, stack.stopped = True, set()

    def do_up_twice_at_once(self, stack):
        stack.environment += 1
        file = self.file_of(stack)
        both = [threading.Thread(target=self.compose, args=(*file, "up", "-d", "-t", "1")) for _ in range(2)]
        for each in both:
            each.start()
        for each in both:
            each.join()
        stack.up, stack.stopped = True, set()

    def do_up_that_is_interrupted(self, stack):
        stack.environment += 1
        client = self.client(*self.file_of(stack), "up", "-d", "-t", "1")
        time.sleep(self.chance.uniform(0, 0.2))
        client.send_signal(self.chance.choice((signal.SIGINT, signal.SIGKILL)))
        client.wait()
        # Whether it was taken in is for the daemon to say; asking again makes it certain.
        self.stack_compose(stack, "up", "-d", "-t", "1")
        stack.up, stack.stopped = True, set()

    def do_stop(self, stack):
        if stack.up:
            services = self.some_services()
            self.stack_compose(stack, "stop", "-t", "1", *services)
            stack.stopped |= set(services)

    def do_start(self, stack):
        if stack.up:
            self.stack_compose(stack, "start")
            stack.stopped = set()

    def do_restart(self, stack):
        if stack.up and not stack.stopped:
            self.stack_compose(stack, "restart", "-t", "1", *self.some_services())

    def do_kill(self, stack):
        running = [each["service"] for each in self.containers() if each["project"] == stack.name and each["state"] == "running"]
        if stack.up and running:
            service = self.chance.choice(running)
            if self.stack_compose(stack, "kill", service, check=False).returncode == 0:
                stack.stopped.add(service)

    def do_down(self, stack):
        if stack.up:
            self.stack_compose(stack, "down", "-t", "1")  # the volume stays, with its rows
            stack.up, stack.stopped = False, set()

    def do_write(self, stack):
        if stack.up and not stack.stopped:
            row = stack.rows
            done = self.stack_compose(stack, "exec", "-T", "db", "sh", "-c", f"echo {row} >>/rows/all && sync /rows/all", check=False)
            stack.rows += done.returncode == 0

    def some_services(self):
        return self.chance.sample(SERVICES[:3], self.chance.randint(1, 3))

    # What others do

    def break_process(self):
        running = [each for each in self.containers() if each["state"] == "running" and each["service"] != "job"]
        if running:
            self.end(self.chance.choice(running)["pid"])

    def break_shim(self):
        shims = [pid for pid, command in self.processes() if "composed-shim" in command]
        if shims:
            self.end(self.chance.choice(shims))

    def break_daemon(self):
        self.stop_daemon(signal.SIGKILL)
        time.sleep(self.chance.uniform(0, 0.3))
        self.start_daemon()

    def break_daemon_meanwhile(self):
        """While a person asks for something; it is asked for again."""
        stack = self.chance.choice(list(self.stacks.values()))
        stack.environment += 1
        client = self.client(*self.file_of(stack), "up", "-d", "-t", "1")
        time.sleep(self.chance.uniform(0, 0.4))
        self.break_daemon()
        client.wait(30)
        self.stack_compose(stack, "up", "-d", "-t", "1")
        stack.up, stack.stopped = True, set()

    def break_link(self):
        links = [name for name in os.listdir("/sys/class/net") if name.startswith((f"b{self.tag()}-", f"v{self.tag()}-"))]
        if links:
            subprocess.run(["ip", "link", "delete", self.chance.choice(links)], stderr=subprocess.DEVNULL)

    def break_firewall(self):
        subprocess.run(["nft", self.chance.choice(("flush", "delete")), "table", "ip", self.instance], stderr=subprocess.DEVNULL)

    def end(self, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    # What must hold whenever it is quiet

    def expected(self):
        states = {}
        for stack in self.stacks.values():
            for service in SERVICES if stack.up else ():
                for number in range(1, stack.scale.get(service, 1) + 1):
                    runs = service != "job" and service not in stack.stopped
                    states[f"{stack.name}-{service}-{number}"] = "running" if runs else "exited"
        return states

    def quiet(self):
        # Backed off at most a minute; a run of 10 s would begin anew.
        def as_wanted():
            return {each["name"]: each["state"] for each in self.containers()} == self.expected()

        def settled():  # what follows another's restart has a moment in which it has not begun
            return as_wanted() and all((time.sleep(0.2), as_wanted())[1] for _ in range(3))
        try:
            wait_until(settled, 75, "quiet")
        except AssertionError:
            found = {each["name"]: each["state"] for each in self.containers()}
            wanted = self.expected()
            wrong = {name: (found.get(name), wanted.get(name)) for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)}
            raise AssertionError(f"COMPOSED_TEST_SEED={SEED}: found, wanted: {wrong}\nafter {list(self.past)}\n"
                                 + (self.folder / "log").read_text()[-3000:]) from None
        try:
            wait_until(lambda: not self.problems(), 10, "the host to be in order")
        except AssertionError:
            raise AssertionError(f"COMPOSED_TEST_SEED={SEED}: {self.problems()} after {list(self.past)}") from None

    def problems(self):
        found = []
        containers = self.containers()
        running = [each for each in containers if each["state"] == "running"]
        shims = sum("composed-shim" in command for _, command in self.processes())
        if shims != len(running):
            found.append(f"{shims} shims of {len(running)} containers")
        addresses = [address for each in containers for address in each["networks"].values()]
        if len(addresses) != len(set(addresses)):
            found.append("two containers have one address")
        links = os.listdir("/sys/class/net")
        up = sum(stack.up for stack in self.stacks.values())
        bridges = [link for link in links if link.startswith(f"b{self.tag()}-")]
        if len(bridges) != 2 * up:
            found.append(f"{len(bridges)} bridges of {up} stacks")
        veths = [link for link in links if link.startswith(f"v{self.tag()}-")]
        endpoints = sum(len(each["networks"]) for each in running)
        if len(veths) != endpoints:
            found.append(f"{len(veths)} links of {endpoints} endpoints")
        table = subprocess.run(["nft", "list", "tables"], text=True, capture_output=True).stdout
        if f"table ip {self.instance}\n" not in table:
            found.append("no firewall table")
        folders = len(list((self.state / "container").iterdir()))
        if folders != len(containers):
            found.append(f"{folders} folders of {len(containers)} containers")
        for each in self.repairs_left():
            found.append(each)
        return found

    def repairs_left(self):
        for stack in self.stacks.values():
            if stack.up:
                yield from self.api(f"/projects/{stack.name}/repairs")["problems"]

    def nothing_is_lost(self):
        for stack in self.stacks.values():
            if not stack.up:
                continue
            revisions = self.api(f"/projects/{stack.name}/revisions")
            numbers = [each["revision"] for each in (revisions if isinstance(revisions, list) else [revisions])]
            self.assertEqual(numbers, list(range(numbers[0], numbers[-1] + 1)), "a revision is missing")
            if "db" in stack.stopped:
                continue
            rows = self.stack_compose(stack, "exec", "-T", "db", "sh", "-c", "touch /rows/all; cat /rows/all").stdout.split()
            self.assertEqual(set(map(str, range(stack.rows))) - set(rows), set(), "acknowledged rows are lost")
            # What answers to the name of a service is there for it.
            for service in {"db", "api"} - stack.stopped:
                if "web" not in stack.stopped:
                    self.stack_compose(stack, "exec", "-T", "web", "nslookup", service, "127.0.0.11")

    def test_chaos(self):
        began = time.monotonic()
        doings = {self.do_up: 6, self.do_up_twice_at_once: 1, self.do_up_that_is_interrupted: 2, self.do_stop: 2, self.do_start: 3,
                  self.do_restart: 2, self.do_kill: 2, self.do_down: 1, self.do_write: 4}
        breakings = {self.break_process: 4, self.break_shim: 3, self.break_daemon: 2, self.break_daemon_meanwhile: 2, self.break_link: 3,
                     self.break_firewall: 2}
        rounds = 0
        while time.monotonic() - began < SECONDS:
            for _ in range(self.chance.randint(2, 6)):
                if self.chance.random() < 0.5:
                    what, = self.chance.choices(list(doings), list(doings.values()))
                    stack = self.chance.choice(list(self.stacks.values()))
                    self.past.append(f"{what.__name__} {stack.name}")
                    try:
                        what(stack)
                    except AssertionError as failure:
                        raise AssertionError(f"COMPOSED_TEST_SEED={SEED} after {list(self.past)}: {failure}") from None
                else:
                    what, = self.chance.choices(list(breakings), list(breakings.values()))
                    self.past.append(what.__name__)
                    what()
                self.done[what.__name__] += 1
            self.quiet()
            self.nothing_is_lost()
            rounds += 1
        print(f"\nCOMPOSED_TEST_SEED={SEED}: {sum(self.done.values())} events, quiet {rounds} times, in {time.monotonic() - began:.0f} s: "
              + ", ".join(f"{name[name.index('_') + 1:]} {count}" for name, count in sorted(self.done.items())))


if __name__ == "__main__":
    unittest.main(verbosity=2)
