"""What the end-to-end tests share: a daemon of their own, the compose program, and a look at what is left on the host.

Every test has its own instance name, state and run folder. After it, the host must look as before: no process, mount,
network interface, cgroup or nftables table of the instance (leaks() lists what there is).
"""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("COMPOSED_BIN", ROOT / "build/release/bin"))
# How much longer than on this project's own machines things may take: more under emulation.
PATIENCE = float(os.environ.get("COMPOSED_TEST_PATIENCE", "1"))
CACHE = pathlib.Path(os.environ.get("COMPOSED_TEST_CACHE", "/var/tmp/composed-tests"))


def busybox_archive():
    """A docker-archive with the image busybox:latest, made once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    archive = CACHE / "busybox.tar"
    if not archive.exists():
        made = CACHE / f"busybox.{os.getpid()}.tar"
        subprocess.run([ROOT / "tests/images/make-busybox.sh", made], check=True)
        made.rename(archive)
    return archive


def serve_registry(storage, folder, tls=None):
    """A registry on loopback over the folder `storage`: its HOST:PORT and what ends it. `folder` holds its configuration;
    `tls`: the files of its certificate and key, for HTTPS."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = pathlib.Path(folder) / "registry.yml"
    config.write_text(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: '{storage}'}}}}\n"
                      f"http: {{addr: '{address}'" + (f", tls: {{certificate: {tls[0]}, key: {tls[1]}}}" if tls else "") + "}\n")
    server = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop():
        server.terminate()
        server.wait(10)

    def answers():
        with contextlib.suppress(OSError), socket.create_connection(address.split(":")):
            return True

    wait_until(answers, 15, "the registry to answer")
    return address, stop


def registry_of_images():
    """A registry with nginx, redis, postgres and python, which are made the first time: its HOST:PORT and what ends it."""
    storage = CACHE / "registry"
    subprocess.run([ROOT / "tests/images/make-images.sh", storage], check=True, stdout=sys.stderr)
    return serve_registry(storage, CACHE)


def wait_until(condition, seconds=10, what="the condition"):
    """Polls, as the tests look from outside; fails the test when the time is up. `what`, or what it gives then, says for what."""
    deadline = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what() if callable(what) else what} did not come true within {seconds} s")


CLONE_NEWNET = 0x40000000


def enter_own_network():
    """The test and all that it starts, in a network namespace that ends with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    set_bridge_netfilter("0")


def set_bridge_netfilter(value):
    """Whether bridged packets pass the firewall, in this network namespace."""
    for name in "iptables", "ip6tables":
        setting = pathlib.Path(f"/proc/sys/net/bridge/bridge-nf-call-{name}")
        if setting.exists():
            setting.write_text(value)


class DaemonTest(unittest.TestCase):
    """One daemon a test; `compose()` talks to it from a project folder."""

    arguments = ()
    config = "/dev/null"
    files = {}  # of the host, and what the daemon alone finds in their place
    environment = {}  # the daemon's own
    program = "composed"

    def setUp(self):
        self.instance = f"t{os.getpid() % 10000}x{DaemonTest.counter}"
        DaemonTest.counter += 1
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="composed-e2e-"))
        self.state = self.folder / "state"
        # On a tmpfs, as /run is on an ordinary host.
        self.run_folder = pathlib.Path("/dev/shm") / self.folder.name
        self.project = self.folder / "project"
        self.project.mkdir()
        self.addCleanup(self.clean_up)
        self.daemon = None
        self.start_daemon()
        self.compose("load", "-i", str(busybox_archive()))

    def clean_up(self):
        if self.daemon is None or self.daemon.poll() is not None:
            self.start_daemon()
        for project in self.api("/projects"):
            self.compose("-p", project["name"], "down", "-v", "--remove-orphans", "-t", "0", check=False)
        self.stop_daemon()
        for family in "ip", "ip6":
            subprocess.run(["nft", "delete", "table", family, self.instance], check=False)
        try:
            wait_until(lambda: not self.leaks(), 5, "the host to be clean")
        except AssertionError:
            raise AssertionError("left on the host: " + ", ".join(self.leaks())) from None
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            shutil.rmtree(self.run_folder, ignore_errors=True)

    def start_daemon(self):
        self.log = open(self.folder / "log", "a")
        replace = "".join(f"mount --bind '{ours}' '{of_host}' && " for of_host, ours in self.files.items())
        alone = ["unshare", "-m", "sh", "-c", replace + 'exec "$@"', "sh"] if replace else []
        self.daemon = subprocess.Popen(
            [*alone, BIN / self.program, "--instance", self.instance, "--state", self.state, "--run", self.run_folder,
             "--config", self.config, "--log-level", "debug", *self.arguments],
            stderr=self.log, stdout=self.log, env={**os.environ, **self.environment})
        wait_until(self.answers, 10, "the daemon to answer")

    def answers(self):
        if self.daemon.poll() is not None:
            raise AssertionError("the daemon ended: " + (self.folder / "log").read_text())
        return self.compose("ls", "-q", check=False).returncode == 0

    def stop_daemon(self, how=signal.SIGTERM):
        self.daemon.send_signal(how)
        self.daemon.wait(10)
        self.log.close()

    def compose(self, *arguments, check=True, input=None, timeout=60, env=None):
        """Runs compose in the project folder; on failure the test fails with what it printed."""
        environment = {**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock", **(env or {})}
        done = subprocess.run([BIN / "compose", *arguments], cwd=self.project, text=True, capture_output=True,
                              timeout=timeout * PATIENCE, input=input if input is not None else "", env=environment)
        if check and done.returncode != 0:
            raise AssertionError(f"compose {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}\n"
                                 + (self.folder / "log").read_text()[-4000:])
        return done

    def write(self, text, name="compose.yaml"):
        (self.project / name).write_text(text)

    def api(self, path, method="GET", body=None, content_type="application/json"):
        """A call with another program than ours."""
        command = ["curl", "-sS", "-X", method, "--unix-socket", self.run_folder / "composed.sock",
                   f"http://composed/api/v1{path}"]
        if body is not None:
            command += ["-H", f"Content-Type: {content_type}", "--data-binary", "@-"]
        done = subprocess.run(command, input=body, text=True, capture_output=True, timeout=30, check=True)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line]
        return lines[0] if len(lines) == 1 else lines

    def containers(self, service=None):
        return [each for each in self.api("/containers") if service is None or each["service"] == service]

    def container(self, service):
        found = self.containers(service)
        self.assertEqual(len(found), 1, found)
        return found[0]

    def wait_for_state(self, service, state, seconds=15):
        return wait_until(lambda: next((c for c in self.containers(service) if c["state"] == state), None), seconds,
                          f"{service} to be {state}")

    def processes(self):
        """(pid, command) of all of this engine: what bears its folder's name, works in it or is in one of its cgroups."""
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                cgroup = (process / "cgroup").read_text()
                within = os.readlink(process / "cwd")
            except OSError:
                continue
            if self.folder.name in command or self.folder.name in within or re.search(rf"/{self.instance}(/|$)", cgroup, re.MULTILINE):
                yield int(process.name), command

    def leaks(self):
        """What bears our instance's name or comes from our folders."""
        left = []
        left += [f"process {pid}: {command[:80]}" for pid, command in self.processes()]
        if self.folder.name in pathlib.Path("/proc/mounts").read_text():
            left.append("a mount")
        tag = self.tag()
        # Not /sys/class/net: that is of the namespace it was mounted in.
        links = subprocess.run(["ip", "-j", "link"], text=True, capture_output=True, check=True).stdout
        for link in json.loads(links or "[]"):
            if link["ifname"].startswith((f"b{tag}-", f"v{tag}-")) or link.get("ifalias") == f"composed:{self.instance}":
                left.append(f"link {link['ifname']}")
        tables = subprocess.run(["nft", "list", "tables"], text=True, capture_output=True).stdout
        left += [f"nftables {each}" for each in tables.splitlines() if each.endswith(f" {self.instance}")]
        # os.walk, as glob() fails when a folder goes away meanwhile.
        for folder, names, _ in os.walk("/sys/fs/cgroup"):
            if pathlib.Path(folder).name == self.instance:
                left += [f"cgroup {folder}/{name}" for name in names]
        return left

    def tag(self):
        """As engine/network/host_names.cpp makes it: five hex digits of FNV-1a over the instance's name."""
        value = 0xCBF29CE484222325
        for byte in self.instance.encode():
            value = ((value ^ byte) * 0x100000001B3) % 2**64
        return f"{value & 0xFFFFF:05x}"


DaemonTest.counter = 0


class StackTest(DaemonTest):
    """Of services that do what one line says: `head` comes before what up() is given."""

    head = "name: stack\n"

    def up(self, text, *arguments, check=True):
        self.write(self.head + text)
        return self.compose("up", "-d", "-t", "0", *arguments, check=check)

    def refused(self, text):
        """What `up` says of a file that it is to refuse."""
        done = self.up(text, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr

    def shell(self, service, script, check=True):
        done = self.compose("exec", "-T", service, "sh", "-c", script, check=check)
        return done.stdout.strip() if check else done

    @staticmethod
    def service(name, keys="", command="sleep 100000"):
        return f"  {name}: {{image: busybox, init: true, command: '{command}', {keys}}}\n"
