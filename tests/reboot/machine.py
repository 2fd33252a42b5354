"""A machine of its own (QEMU, without acceleration): Debian 12 with systemd and cgroup v2, unlike most hosts that tests run on."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import BIN, CACHE, ROOT, busybox_archive  # noqa: E402

PROGRAMS = ("composed", "composed-shim", "compose", "udp_echo")


def boot(script, timeout, kernel=""):
    """Boots, runs the shell script `script` in a folder that has bin/, tests/, docker/ and the image archive, and powers off.
    `kernel`: further parameters of its. Gives the output and exit code; fails when the machine does not get as far as that within `timeout` seconds."""
    folder = CACHE / "machine"
    subprocess.run([ROOT / "tests/reboot/make-machine.sh", folder], check=True, stdout=sys.stderr)
    work = pathlib.Path(tempfile.mkdtemp(prefix="composed-machine-"))
    try:
        content = work / "content"
        (content / "bin").mkdir(parents=True)
        for program in PROGRAMS:
            shutil.copy(BIN / program, content / "bin")
        for each in ("tests", "docker", "examples"):
            shutil.copytree(ROOT / each, content / each, ignore=shutil.ignore_patterns("__pycache__"))
        (content / "cache").mkdir()
        shutil.copy(busybox_archive(), content / "cache/busybox.tar")
        (content / "run").write_text("#!/bin/sh\ncd /mnt/second\n(" + script + ")\necho \"script: exit $?\"\n")
        (content / "run").chmod(0o755)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", content, work / "second.img", "1G"], check=True)
        done = subprocess.run(
            ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048", "-nographic",
             "-no-reboot", "-nic", "none", "-snapshot", "-kernel", folder / "kernel", "-initrd", folder / "initrd",
             "-append", "console=ttyS0 root=/dev/vda rw quiet panic=-1 " + kernel,
             "-drive", f"file={folder}/disk.img,if=virtio,format=raw",
             "-drive", f"file={work}/second.img,if=virtio,format=raw"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
        console = done.stdout.decode(errors="replace").replace("\r", "")
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"the machine took more than {timeout} s; its console:\n"
                             + (late.stdout or b"").decode(errors="replace")[-6000:]) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    ended = re.search(r"^script: exit (\d+)$", console, re.MULTILINE)
    if ended is None:
        raise AssertionError("the machine did not run the script; its console:\n" + console[-6000:])
    return console[:ended.start()], int(ended[1])
