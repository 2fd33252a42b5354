"""A machine that lives through several boots: its disk stays, the host talks to it over a serial line, and can cut its power."""
import base64
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import machine  # noqa: F401  for the path to harness
from harness import BIN, CACHE, ROOT, busybox_archive, registry_of_images

# What runs in it once it is up: each line is a shell script in base64, each answer its output and then its exit code.
AGENT = r"""#!/bin/sh
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
echo ready >&3
while read -r line <&3; do
    output=$(echo "$line" | base64 -d | sh 2>&1)
    code=$?
    printf '%s' "$output" | base64 -w0 >&3
    echo " $code" >&3
done
"""


class Off(Exception):
    """The machine has no power (any more)."""


class LivingMachine:
    def __init__(self, images=()):
        """`images`: those of tests/images that are there as IMAGE-TAG.tar beside busybox.tar."""
        folder = CACHE / "machine"
        subprocess.run([ROOT / "tests/reboot/make-machine.sh", folder], check=True, stdout=sys.stderr)
        self.base = folder
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="composed-machine-"))
        subprocess.run(["cp", "--sparse=always", folder / "disk.img", self.work / "disk.img"], check=True)
        content = self.work / "content"
        # As `make install` does it, with what is built.
        subprocess.run(["make", "--silent", "--old-file=build", "-C", ROOT, "install", f"BUILD={BIN.parent}",
                        f"DESTDIR={content / 'installed'}"], check=True, stdout=sys.stderr)
        shutil.copy(busybox_archive(), content / "busybox.tar")
        registry, stop = registry_of_images()
        try:
            for image in images:
                subprocess.run(["skopeo", "copy", "--quiet", "--insecure-policy", "--src-tls-verify=false",
                                f"docker://{registry}/library/{image}",
                                f"oci-archive:{content / image.replace(':', '-')}.tar:docker.io/library/{image}"], check=True)
        finally:
            stop()
        (content / "run").write_text(AGENT)
        (content / "run").chmod(0o755)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", content, self.work / "second.img", "1G"], check=True)
        self.qemu = None

    def boot(self, seconds=400):
        """Returns when the agent answers."""
        line = self.work / "line"
        line.unlink(missing_ok=True)
        self.qemu = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048", "-display", "none",
             "-monitor", "none", "-no-reboot", "-nic", "none", "-kernel", self.base / "kernel", "-initrd", self.base / "initrd",
             "-append", "console=ttyS0 root=/dev/vda rw quiet panic=-1",
             "-serial", f"file:{self.work}/console", "-serial", f"unix:{line},server=on,wait=off",
             # What the guest has not flushed is in its own memory and goes with it.
             "-drive", f"file={self.work}/disk.img,if=virtio,format=raw,cache=writeback",
             "-drive", f"file={self.work}/second.img,if=virtio,format=raw"], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + seconds
        while not line.exists():
            time.sleep(0.05)
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(str(line))
        self.line.settimeout(seconds)
        self.buffer = b""
        while self.read_line() != "ready":
            if time.monotonic() > deadline:
                raise AssertionError("the machine does not come up:\n" + self.console())

    def console(self):
        return (self.work / "console").read_text(errors="replace")[-4000:]

    def read_line(self):
        while b"\n" not in self.buffer:
            try:
                more = self.line.recv(65536)
            except TimeoutError:
                raise AssertionError("the machine does not answer:\n" + self.console()) from None
            except OSError:
                more = b""
            if not more:
                raise Off
            self.buffer += more
        answer, self.buffer = self.buffer.split(b"\n", 1)
        return answer.decode().strip()

    def run(self, script, check=True):
        """Output of a shell script in the machine. Raises Off when the power goes meanwhile."""
        try:
            self.line.sendall(base64.b64encode(script.encode()) + b"\n")
        except OSError:
            raise Off from None
        output, _, code = self.read_line().rpartition(" ")
        text = base64.b64decode(output).decode(errors="replace")
        if check and code != "0":
            raise AssertionError(f"{script}: exit {code}\n{text}")
        return text

    def cut_power(self):
        self.qemu.kill()
        self.qemu.wait()
        self.line.close()

    def reboot_cleanly(self, seconds=300):
        self.line.sendall(base64.b64encode(b"systemctl reboot") + b"\n")
        self.qemu.wait(seconds)
        self.line.close()
        self.boot()

    def close(self):
        if self.qemu is not None and self.qemu.poll() is None:
            self.cut_power()
        shutil.rmtree(self.work, ignore_errors=True)
