"""tests/stacks, as they are: each comes up healthy, answers, keeps what was written through `down` and `up`, and does not notice
that the daemon is killed. What to ask of a stack is in the expect.yaml beside its compose.yaml, lines of shell:

    before  makes what the stack needs and nobody would commit (a certificate)
    ask     what is asked over and over, `answer` the regular expression for what it prints
    write   leaves something behind
    read    finds it again, `kept` the regular expression for what it prints, at the latest after ten seconds
    change  is done while requests run, and none of them fails

COMPOSED_STACKS="wordpress dns" runs these alone. Several are up at once; all are in a network namespace of their own, so that they
can publish the ports that people publish.
"""
import concurrent.futures
import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import yaml

from harness import BIN, CACHE, PATIENCE, ROOT, DaemonTest, enter_own_network, serve_registry

STACKS = ROOT / "tests/stacks"
TOGETHER = 7
AT_ONCE = 3

CLONE_NEWNS = 0x20000

PRELUDE = r"""
set -euo pipefail
compose() { command compose --progress plain "$@"; }
# wait_for REGEX COMMAND…: until what it prints matches
wait_for() {
    local regex=$1 said; shift
    for attempt in $(seq 100); do
        if said=$("$@" 2>&1) && grep -Eq -- "$regex" <<<"$said"; then return; fi
        sleep 0.1
    done
    echo "«$*» did not print /$regex/ within ten seconds but: $said"; return 1
}
"""


def share_mounts():
    """In a mount namespace of its own, the mounts are shared among those below it, as systemd has them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for kind in "--make-rprivate", "--make-rshared":
        subprocess.run(["mount", kind, "/"], check=True)


class Stack:
    def __init__(self, test, name):
        self.test, self.name = test, name
        self.folder = test.folder / "stacks" / name
        self.expected = yaml.safe_load((STACKS / name / "expect.yaml").read_text())
        self.error, self.took = None, {}

    def shell(self, part):
        done = subprocess.run(["bash", "-c", PRELUDE + self.expected[part]], cwd=self.folder, text=True, capture_output=True,
                              timeout=120 * PATIENCE, env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}",
                                                           "COMPOSED_HOST": f"unix://{self.test.run_folder}/composed.sock"})
        if done.returncode != 0:
            raise AssertionError(f"{part}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def compose(self, *arguments, check=True):
        return self.test.compose("--project-directory", str(self.folder), "-f", str(self.folder / "compose.yaml"), *arguments,
                                 check=check, timeout=120)

    def containers(self):
        return [each for each in self.test.containers() if each["project"] == self.project]

    def state(self):
        """For who reads of a failure."""
        return "".join(self.compose(*arguments, check=False).stdout for arguments in (("ps", "-a"), ("logs", "--tail", "15")))

    def prepare(self):
        shutil.copytree(STACKS / self.name, self.folder)
        if "before" in self.expected:
            self.shell("before")
        self.project = re.search(r"^name: (.*)$", self.compose("config").stdout, re.MULTILINE)[1]

    def up(self):
        self.compose("up", "-d", "--wait")
        states = {each["name"]: (each["state"], each.get("health")) for each in self.containers()}
        ill = {name: state for name, state in states.items() if state[1] not in (None, "none", "healthy")}
        self.test.assertEqual(ill, {})

    def ask(self):
        said = self.shell("ask")
        if not re.search(self.expected["answer"], said):
            raise AssertionError(f"ask: {said!r} has not {self.expected['answer']!r}")

    def use(self):
        self.ask()
        self.shell("write")

    def read(self):
        deadline = time.monotonic() + 10 * PATIENCE
        while True:
            try:
                said = self.shell("read")
                if re.search(self.expected["kept"], said, re.MULTILINE):
                    return
                error = AssertionError(f"read: {said!r} has not {self.expected['kept']!r}")
            except AssertionError as failed:
                error = failed
            if time.monotonic() > deadline:
                raise error
            time.sleep(0.2)

    def identity(self):
        """Of what is to go on: what has a schedule runs and ends all the time."""
        return {each["name"]: (each["id"], each.get("pid"), each.get("restart_count"), each["state"]) for each in self.containers()
                if "schedule" not in each}

    @contextlib.contextmanager
    def visited(self):
        """Requests all the time, none of which may fail."""
        failures, count, going = [], 0, True

        def visit():
            nonlocal count
            while going:
                try:
                    self.ask()
                    count += 1
                except (AssertionError, subprocess.TimeoutExpired) as error:
                    failures.append(str(error))

        visitor = threading.Thread(target=visit)
        visitor.start()
        try:
            yield
        finally:
            going = False
            visitor.join()
        self.test.assertEqual(failures, [], f"{len(failures)} of {count + len(failures)} requests failed")
        self.test.assertGreater(count, 0)

    def change(self):
        if "change" in self.expected:
            with self.visited():
                self.shell("change")
            self.read()

    def down_and_up(self):
        self.compose("down", "-t", "10")
        self.test.assertEqual(self.containers(), [])
        self.up()
        self.read()

    def remove(self):
        self.compose("down", "-v", "-t", "5")
        left = [each["name"] for each in self.containers()]
        left += [each["name"] for each in self.test.api("/volumes") if each.get("project") == self.project]
        left += [each["name"] for each in self.test.api("/projects") if each["name"] == self.project]
        self.test.assertEqual(left, [])


class RealStacksTest(DaemonTest):
    @classmethod
    def setUpClass(cls):
        base, storage = CACHE / "registry", CACHE / "registry-stacks"
        subprocess.run([ROOT / "tests/images/make-images.sh", base], check=True, stdout=sys.stderr)
        subprocess.run([STACKS / "make-images.sh", storage, base], check=True, stdout=sys.stderr)
        enter_own_network()
        share_mounts()
        cls.registry, stop = serve_registry(storage, CACHE / "registry-stacks")
        cls.addClassCleanup(stop)
        # In memory: there are disks that take minutes to remove the files of these images.
        memory = tempfile.mkdtemp(prefix="composed-stacks-", dir="/dev/shm")
        tempfile.tempdir = memory
        cls.addClassCleanup(shutil.rmtree, memory)

    def setUp(self):
        self.arguments = ("--registry-mirror", f"docker.io=http://{self.registry}")
        super().setUp()

    def each(self, stacks, step):
        """A step of those that still stand; what fails is kept, and the others go on."""
        def attempt(stack):
            if stack.error is None:
                began = time.monotonic()
                try:
                    getattr(stack, step)()
                except Exception as error:
                    stack.error = f"{step}: {error}\n{stack.state()}"
                stack.took[step] = time.monotonic() - began

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(attempt, stacks))

    def kill_the_daemon(self, stacks):
        standing = [stack for stack in stacks if stack.error is None]
        before = {stack.name: stack.identity() for stack in standing}
        with contextlib.ExitStack() as visits:
            for stack in standing:
                visits.enter_context(self.kept_by(stack, stack.visited()))
            time.sleep(0.3)
            self.stop_daemon(signal.SIGKILL)
            time.sleep(0.5)
            self.start_daemon()
            time.sleep(0.7)
        for stack in standing:
            with self.kept_by(stack, contextlib.nullcontext()):
                self.assertEqual(stack.identity(), before[stack.name])

    @contextlib.contextmanager
    def kept_by(self, stack, context):
        try:
            with context:
                yield
        except AssertionError as error:
            stack.error = stack.error or f"kill -9 of the daemon: {error}"

    def test_stacks(self):
        chosen = os.environ.get("COMPOSED_STACKS", "").split()
        names = sorted(each.parent.name for each in STACKS.glob("*/compose.yaml") if not chosen or each.parent.name in chosen)
        self.assertTrue(chosen or len(names) >= 20, names)
        for first in range(0, len(names), TOGETHER):
            stacks = [Stack(self, name) for name in names[first:first + TOGETHER]]
            for step in "prepare", "up", "use":
                self.each(stacks, step)
            self.kill_the_daemon(stacks)
            for step in "change", "down_and_up", "remove":
                self.each(stacks, step)
            for stack in stacks:
                print(f"{stack.name:16}" + "  ".join(f"{step} {took:.1f}" for step, took in stack.took.items()), flush=True)
                with self.subTest(stack.name):
                    if stack.error is not None:
                        self.fail(stack.error)
                if stack.error is not None and hasattr(stack, "project"):
                    self.compose("-p", stack.project, "down", "-v", "-t", "0", check=False)


if __name__ == "__main__":
    unittest.main()
