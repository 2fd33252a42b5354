"""The engine that ours is compared with: the newest dockerd and Docker Compose of Debian (sid), in a root folder of their
own, which is made the first time, with their own mount and network namespaces. PEER=bookworm: Debian 12's dockerd 20.10
under the same Docker Compose.

Both engines get what they have on an ordinary host: state on a disk, run files on a tmpfs.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import CACHE, wait_until  # noqa: E402

PACKAGES = "docker.io,containerd,runc,iptables,iproute2,procps,ca-certificates"
SUITES = {"sid": PACKAGES + ",docker-cli,docker-compose", "bookworm": PACKAGES}
SUITE = os.environ.get("PEER", "sid")

# In new mount and network namespaces: makes $root the root (pivot_root, as `docker exec` fails in a chroot) and leaves the
# daemon in this shell's place. $work, on the host's disk, holds its data and its socket.
ENTER = r"""
set -e
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mkdir -p work old
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount --bind "$work" work
pivot_root . old
umount -l old
ip link set lo up
exec dockerd --data-root /work/data --host unix:///work/docker.sock --pidfile /run/docker.pid --bip 10.254.0.1/24 \
    --default-address-pool base=10.253.0.0/16,size=24 --cgroup-parent "/$name" --log-level error --registry-mirror "$mirror" \
    --insecure-registry 127.0.0.0/8
"""


def make_root(suite="sid"):
    root = CACHE / suite
    if root.exists():
        return root
    print(f"peer: making a root with {suite}'s dockerd (a minute, once)", file=sys.stderr)
    made = CACHE / f"{suite}.{os.getpid()}"
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={SUITES[suite]}", suite, made],
                   check=True, stdout=subprocess.DEVNULL)
    made.rename(root)
    return root


class Peer:
    """A dockerd with its Docker Compose. `mirror`: the registry that stands in for Docker Hub."""

    def __init__(self, mirror="http://127.0.0.1:1"):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="composed-peer-", dir=tempfile.tempdir or CACHE))
        self.name = f"peer{os.getpid()}"
        self.project = self.work / "project"
        self.project.mkdir()
        root = make_root(SUITE)
        self.compose_program = make_root() / "usr/libexec/docker/cli-plugins/docker-compose"
        self.log = open(self.work / "log", "w")
        self.daemon = subprocess.Popen(
            ["unshare", "-m", "-n", "sh", "-c", ENTER], stdout=self.log, stderr=self.log, start_new_session=True,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "root": str(root),
                 "work": str(self.work), "name": self.name, "mirror": mirror})
        self.socket = self.work / "docker.sock"
        try:
            wait_until(self.answers, 60, "dockerd to answer: " + (self.work / "log").read_text())
        except AssertionError:
            print((self.work / "log").read_text(), file=sys.stderr)
            self.close()
            raise
        self.version = self.curl("/version").split('"Version":"')[1].split('"')[0]
        compose = subprocess.run([self.compose_program, "version", "--short"], capture_output=True, text=True)
        self.title = f"dockerd {self.version} with Docker Compose {compose.stdout.strip()}"

    def curl(self, path, *arguments):
        return subprocess.run(["curl", "-sS", "--fail-with-body", "--unix-socket", self.socket, *arguments, f"http://docker{path}"],
                              check=True, capture_output=True, text=True).stdout

    def answers(self):
        if self.daemon.poll() is not None:
            raise AssertionError("dockerd ended")
        with contextlib.suppress(subprocess.CalledProcessError):
            return self.curl("/_ping") == "OK"

    def load(self, archive):
        self.curl("/images/load", "-X", "POST", "-H", "Content-Type: application/x-tar", "--data-binary", f"@{archive}", "-o", "/dev/null")

    def compose(self, *arguments):
        done = subprocess.run([self.compose_program, *arguments], cwd=self.project, text=True, capture_output=True,
                              env={**os.environ, "DOCKER_HOST": f"unix://{self.socket}"})
        if done.returncode != 0:
            raise AssertionError(f"docker compose {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done

    def write(self, text):
        (self.project / "compose.yaml").write_text(text)

    def processes(self):
        """Of the engine: not what runs in its containers."""
        space = os.readlink(f"/proc/{self.daemon.pid}/ns/mnt")
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(process / "ns/mnt") == space:
                    yield process

    def inside(self, *command):
        """Starts a program of the host in the peer's network namespace."""
        return subprocess.Popen(["nsenter", "-t", str(self.daemon.pid), "-n", *command],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self):
        if self.daemon.poll() is None:
            left = [int(process.name) for process in self.processes()]
            self.daemon.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.daemon.wait(30)
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        self.log.close()
        time.sleep(0.5)
        for cgroup in sorted(pathlib.Path("/sys/fs/cgroup").glob(f"**/{self.name}"), reverse=True):
            for each in sorted(cgroup.glob("**/"), reverse=True):
                with contextlib.suppress(OSError):
                    each.rmdir()
        shutil.rmtree(self.work, ignore_errors=True)
