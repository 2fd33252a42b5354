"""Programs of Debian that also filter packets (dockerd, ufw, firewalld), in a root folder of their own: made once, never installed on the host.

They work on the network namespace of who starts them.
"""
import fcntl
import os
import pathlib
import signal
import subprocess
import tempfile

from harness import CACHE, wait_until

PACKAGES = "iptables,ufw,firewalld,dbus,docker.io,iproute2,procps,python3"

# In a mount namespace of its own: $root becomes the root (pivot_root, as dockerd asks), with its changeable folders on a tmpfs.
ENTER = r"""
set -e
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir run/etc run/work
cp -a etc/. run/etc
mount --bind run/etc etc
mkdir -p tmp/work tmp/old
mount --bind "$work" tmp/work
pivot_root . tmp/old
umount -l /tmp/old
echo entered
exec sh
"""


def make_root():
    root = CACHE / "neighbours"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "neighbours.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            print("neighbours: making a Debian 12 with dockerd, ufw and firewalld (a minute or two, once)", flush=True)
            made = CACHE / f"neighbours.{os.getpid()}"
            subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", made],
                           check=True, stdout=subprocess.DEVNULL)
            made.rename(root)
    return root


class Neighbours:
    """A shell among them: run() waits for a command, start() leaves one running until close()."""

    def __init__(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="composed-neighbours-", dir=CACHE))
        self.log = open(self.work / "log", "w")
        self.shell = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", ENTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "root": str(make_root()), "work": str(self.work)})
        if self.shell.stdout.readline() != "entered\n":
            raise AssertionError((self.work / "log").read_text())
        self.started = []

    def command(self, *command):
        return ["nsenter", "-t", str(self.shell.pid), "-m", "-r", "-w", *command]

    def run(self, *command, check=True):
        done = subprocess.run(self.command(*command), text=True, capture_output=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}{(self.work / 'log').read_text()[-3000:]}")
        return done.stdout

    def start(self, *command):
        self.started.append(subprocess.Popen(self.command(*command), stdout=self.log, stderr=self.log,
                                             env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}))

    def start_firewalld(self):
        self.run("mkdir", "-p", "/run/dbus")
        self.start("dbus-daemon", "--system", "--nofork", "--nopidfile")
        wait_until(lambda: self.run("sh", "-c", "[ -S /run/dbus/system_bus_socket ] && echo there", check=False), 10, "dbus")
        self.start("firewalld", "--nofork", "--nopid")
        wait_until(lambda: "running" in self.run("firewall-cmd", "--state", check=False), 20, "firewalld")

    def start_dockerd(self):
        self.start("dockerd", "--data-root", "/tmp/work/data", "--host", "unix:///run/docker.sock", "--pidfile", "/run/docker.pid",
                   "--bip", "10.254.0.1/24", "--default-address-pool", "base=10.253.0.0/16,size=24",
                   "--cgroup-parent", f"/neighbour{os.getpid()}", "--storage-driver", "vfs")
        wait_until(lambda: "Server Version" in self.docker("info", check=False), 30, "dockerd to answer")

    def docker(self, *arguments, check=True):
        return self.run("docker", "-H", "unix:///run/docker.sock", *arguments, check=check)

    def close(self):
        for each in reversed(self.started):
            each.send_signal(signal.SIGTERM)
            each.wait()
        self.shell.stdin.close()
        self.shell.wait()
        self.shell.stdout.close()
        self.log.close()
        subprocess.run(["rm", "-rf", self.work], check=False)
        for folder in pathlib.Path("/sys/fs/cgroup").glob(f"*/neighbour{os.getpid()}"):
            folder.rmdir()
