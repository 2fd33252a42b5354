"""`compose cp`, both ways: where things land, owners, links, volumes, and that nothing leads out of a container."""
import io
import os
import pathlib
import socket
import stat
import subprocess
import tarfile
import time
import unittest

from harness import BIN, DaemonTest

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service+ep, as setcap writes it

STACK = """
name: p
services:
  s:
    image: busybox
    init: true
    command: sleep 1000
    volumes: ["data:/data", "./bind:/bind:ro"]
  two: {image: busybox, init: true, command: sleep 1000, scale: 2}
volumes: {data: {}}
"""


class CopyTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.write(STACK)
        (self.project / "bind").mkdir()
        self.compose("up", "-d", "-t", "0")
        tree = self.project / "tree"
        (tree / "below").mkdir(parents=True)
        (tree / "file").write_text("content")
        (tree / "file").chmod(0o640)
        (tree / "below/link").symlink_to("/etc/hostname")
        os.chown(tree / "file", 1234, 4321)

    def cp(self, *arguments, check=True, **how):
        return self.compose("cp", *arguments, check=check, **how)

    def inside(self, script, service="s"):
        return self.compose("exec", service, "sh", "-c", script).stdout

    def refused(self, *arguments):
        done = self.cp(*arguments, check=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        return done.stderr

    def test_where_things_land(self):
        done = self.cp("tree", "s:/new")  # not there: takes that name
        self.assertEqual(done.stderr, " p-s-1 copy tree to p-s-1:/new  Copied\n")
        self.assertEqual(self.inside("cat /new/file; readlink /new/below/link; stat -c %a:%u:%g /new/file"), "content/etc/hostname\n640:0:0\n")
        self.cp("tree", "s:/new")  # there: goes into it
        self.assertEqual(self.inside("cat /new/tree/file"), "content")
        self.cp("tree/.", "s:/tmp")
        self.assertEqual(self.inside("cat /tmp/file; ls -A /tmp/below"), "contentlink\n")
        self.cp("-a", "tree/file", "s:/tmp/other")
        self.assertEqual(self.inside("stat -c %u:%g /tmp/other"), "1234:4321\n")
        self.assertIn("cannot take a file's place", self.refused("tree", "s:/tmp/other"))
        self.assertIn("no such folder", self.refused("tree/file", "s:/nowhere/x"))
        self.assertIn("no such folder", self.refused("tree/file", "s:/nowhere/"))
        self.assertIn("no such file", self.refused("s:/nowhere", "x"))
        self.assertIn("tree/no", self.refused("tree/no", "s:/"))
        self.cp("s:/new", "out")
        self.assertEqual((self.project / "out/file").read_text(), "content")
        self.assertEqual(os.readlink(self.project / "out/below/link"), "/etc/hostname")
        self.cp("s:/new/.", "out")
        self.cp("s:/new/file", "out/renamed")
        self.assertEqual((self.project / "out/renamed").read_text(), "content")
        self.assertEqual(sorted(os.listdir(self.project / "out")), ["below", "file", "renamed", "tree"])
        self.assertIn("Read-only file system", self.refused("tree/file", "s:/bind/x"))
        self.assertIn("not supported", self.refused("s:/a", "two:/b"))
        self.assertIn("unknown copy direction", self.refused("a", "b"))
        self.assertIn('no container found for service "nope"', self.refused("nope:/a", "b"))

    def test_links_are_followed_only_when_asked_for(self):
        self.inside("echo there >/tmp/target; ln -s target /tmp/link")
        self.cp("s:/tmp/link", "link")
        self.assertTrue((self.project / "link").is_symlink())
        self.cp("-L", "s:/tmp/link", "followed")
        self.assertEqual((self.project / "followed").read_text(), "there\n")
        (self.project / "here").symlink_to("tree/file")
        self.cp("-L", "here", "s:/tmp/here")
        self.assertEqual(self.inside("cat /tmp/here"), "content")

    def test_archives_on_stdin_and_stdout(self):
        environment = {**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"}
        self.inside("mkdir /tmp/d; echo a >/tmp/d/a")
        out = subprocess.run([BIN / "compose", "cp", "s:/tmp/d", "-"], cwd=self.project, capture_output=True, env=environment, check=True)
        with tarfile.open(fileobj=io.BytesIO(out.stdout)) as archive:
            self.assertEqual(sorted(archive.getnames()), ["d", "d/a"])
        subprocess.run([BIN / "compose", "cp", "-", "s:/data"], cwd=self.project, input=out.stdout, capture_output=True, env=environment,
                       check=True)
        self.assertEqual(self.inside("cat /data/d/a"), "a\n")
        bad = subprocess.run([BIN / "compose", "cp", "-", "s:/data"], cwd=self.project, input=b"no archive at all" * 100, capture_output=True,
                             env=environment, check=False)
        self.assertEqual(bad.returncode, 1)
        self.assertIn(b"not a tar archive", bad.stderr)
        big = self.project / "big"
        big.write_bytes(os.urandom(30 << 20))
        self.cp("big", "s:/tmp/big")
        self.cp("s:/tmp/big", "back")
        self.assertEqual((self.project / "back").read_bytes(), big.read_bytes())

    def test_the_whole_file_system_is_without_what_the_kernel_shows(self):
        self.inside("nc -l -p 1 -U /tmp/x 2>/dev/null; mkfifo /tmp/pipe; echo kept >/data/kept")
        for running in True, False:
            out = f"out-{running}"
            self.cp("s:/", out)
            copied = self.project / out
            self.assertEqual((copied / "data/kept").read_text(), "kept\n")
            self.assertTrue((copied / "bin/busybox").exists())
            self.assertTrue(stat.S_ISFIFO((copied / "tmp/pipe").lstat().st_mode))
            for folder in ("proc", "sys", "dev") if running else ():
                self.assertEqual(os.listdir(copied / folder), [], folder)
            if running:
                self.compose("stop", "-t", "0", "s")
        self.compose("start", "s")
        self.assertIn("the kernel shows it there", self.refused("s:/proc/meminfo", "x"))
        self.assertFalse((self.project / "x").exists())
        self.assertIn("the kernel shows it there", self.refused("/proc/meminfo", "s:/x"))

    def test_what_goes_wrong_in_the_middle_is_told(self):
        deep = "/".join(["d"] * 1002)
        self.inside(f"mkdir -p /tmp/top; head -c 3000000 /dev/zero >/tmp/top/a; cd /tmp/top; mkdir -p {deep}")
        self.assertRegex(self.refused("s:/tmp/top", "x"), r'^copy "top(/d)+/ …": folders are too deep\n$')
        self.assertFalse((self.project / "x").exists())
        environment = {**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"}
        out = subprocess.run([BIN / "compose", "cp", "s:/tmp/top", "-"], cwd=self.project, capture_output=True, env=environment, check=False)
        self.assertEqual(out.returncode, 1)
        self.assertIn(b"folders are too deep", out.stderr)
        # Others see that the archive is broken off, also those that do not look at the trailer.
        self.assertNotEqual(subprocess.run(["tar", "-t"], input=out.stdout, capture_output=True, check=False).returncode, 0)
        raw = subprocess.run(["curl", "-sS", "-i", "--raw", "--unix-socket", self.run_folder / "composed.sock",
                              f"http://composed/api/v1/containers/{self.container('s')['id']}/archive?path=/tmp/top"],
                             capture_output=True, check=False).stdout
        self.assertIn(b'\r\nComposed-Error: {"kind":"exhausted","message":"copy', raw)

    def kinds(self):
        """A folder with one of each kind, on the host."""
        folder = self.project / "kinds"
        folder.mkdir()
        (folder / "a").write_text("twice")
        os.link(folder / "a", folder / "b")
        os.mkfifo(folder / "pipe", 0o640)
        os.mknod(folder / "zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        (folder / "zero").chmod(0o666)
        with open(folder / "sparse", "wb") as sparse:
            for place in 1 << 20, 8 << 20:
                sparse.seek(place)
                sparse.write(b"data")
            sparse.truncate(3 << 30)
        os.setxattr(folder / "a", "user.note", b"for \0 you")
        os.setxattr(folder / "sparse", "security.capability", CAPABILITY)
        (folder / "tool").write_text("#!")
        (folder / "tool").chmod(0o6755)
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(folder / "left"))
        return folder

    def check_kinds(self, folder, privileged):
        self.assertEqual((folder / "a").stat().st_ino, (folder / "b").stat().st_ino)
        self.assertEqual(os.getxattr(folder / "b", "user.note"), b"for \0 you")
        self.assertEqual(stat.S_IMODE((folder / "pipe").stat().st_mode), 0o640)
        self.assertTrue(stat.S_ISFIFO((folder / "pipe").stat().st_mode))
        sparse = (folder / "sparse").stat()
        self.assertEqual(sparse.st_size, 3 << 30)
        self.assertLess(sparse.st_blocks, 1000)
        with open(folder / "sparse", "rb") as text:
            text.seek(8 << 20)
            self.assertEqual(text.read(5), b"data\0")
        self.assertEqual((folder / "zero").exists(), privileged)
        self.assertEqual("security.capability" in os.listxattr(folder / "sparse"), privileged)
        self.assertEqual(stat.S_IMODE((folder / "tool").stat().st_mode), 0o6755 if privileged else 0o755)
        self.assertFalse((folder / "left").exists())
        if privileged:
            self.assertEqual((folder / "zero").stat().st_rdev, os.makedev(1, 5))
            self.assertEqual(stat.S_IMODE((folder / "zero").stat().st_mode), 0o666)

    def test_every_kind_of_file(self):
        self.kinds()
        done = self.cp("kinds", "s:/tmp/kinds")
        self.assertEqual(done.stderr, "warning: left out: kinds/left: a socket\n p-s-1 copy kinds to p-s-1:/tmp/kinds  Copied\n")
        self.assertEqual(self.inside("cd /tmp/kinds; stat -c %h a; head -c 1 zero | od -An -tx1; stat -c %a,%F pipe tool"),
                         "2\n 00\n640,fifo\n6755,regular file\n")
        for running in True, False:
            done = self.cp("s:/tmp/kinds", f"plain-{running}")
            self.assertIn("warning: left out: kinds/zero: a device, which is copied with -a alone\n", done.stderr)
            self.check_kinds(self.project / f"plain-{running}", privileged=False)
            done = self.cp("-a", "s:/tmp/kinds", f"whole-{running}")
            self.assertNotIn("left out", done.stderr)
            self.check_kinds(self.project / f"whole-{running}", privileged=True)
            if running:
                self.compose("stop", "-t", "0", "s")
        self.compose("start", "s")
        self.assertIn("which is copied with -a alone", self.refused("s:/tmp/kinds/zero", "x"))
        self.assertIn("a socket cannot be copied", self.refused("kinds/left", "s:/tmp/x"))

    def test_links_across_volumes_are_files_of_their_own(self):
        tree = self.project / "linked"
        (tree / "data").mkdir(parents=True)
        (tree / "data/a").write_text("both")
        os.link(tree / "data/a", tree / "z")
        self.cp("linked/.", "s:/")
        self.assertEqual(self.inside("cat /data/a /z; stat -c %h /data/a"), "bothboth1\n")

    def test_a_file_of_gaps_alone_takes_no_time(self):
        self.inside("truncate -s 9000G /tmp/huge; echo end >>/tmp/huge")
        began = time.monotonic()
        self.cp("s:/tmp/huge", "huge")
        self.assertLess(time.monotonic() - began, 10)
        copied = (self.project / "huge").stat()
        self.assertEqual(copied.st_size, (9000 << 30) + 4)
        self.assertLess(copied.st_blocks, 100)

    def test_no_link_of_an_archive_is_followed_to_what_another_one_names(self):
        evil = io.BytesIO()
        with tarfile.open(fileobj=evil, mode="w") as archive:
            for name, kind, target in ("l", tarfile.SYMTYPE, "/etc"), ("h", tarfile.LNKTYPE, "l/passwd"):
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = kind, target
                archive.addfile(entry)
        environment = {**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"}
        done = subprocess.run([BIN / "compose", "cp", "-", "s:/tmp"], cwd=self.project, input=evil.getvalue(), capture_output=True,
                              env=environment, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b'a link to "l/passwd", which is not in the archive', done.stderr)
        self.assertEqual(self.inside("ls /tmp"), "l\n")

    def test_several_containers(self):
        self.cp("tree/file", "two:/tmp/x")
        for index in "1", "2":
            self.assertEqual(self.compose("exec", "--index", index, "two", "cat", "/tmp/x").stdout, "content")
        self.cp("--index", "2", "tree/file", "two:/tmp/y")
        self.assertEqual(self.compose("exec", "--index", "1", "two", "sh", "-c", "test -e /tmp/y", check=False).returncode, 1)
        self.assertIn("no container #3", self.refused("--index", "3", "two:/tmp/x", "x"))

    def test_of_a_stopped_container(self):
        self.inside("echo in layer >/etc/kept; echo in volume >/data/kept; rm /bin/vi 2>/dev/null; true")
        self.compose("stop", "-t", "0", "s")
        self.cp("s:/etc/kept", "a")
        self.cp("s:/data/kept", "b")
        self.assertEqual((self.project / "a").read_text() + (self.project / "b").read_text(), "in layer\nin volume\n")
        self.cp("tree", "s:/etc/tree")
        self.cp("tree", "s:/data/tree")
        self.assertIn("Read-only file system", self.refused("tree/file", "s:/bind/x"))
        self.compose("start", "s")
        self.assertEqual(self.inside("cat /etc/tree/file /data/tree/file"), "contentcontent")
        created = self.compose("run", "-d", "--no-deps", "--name", "other", "s", "true")
        self.assertTrue(created.stdout)

    def test_nothing_leads_out(self):
        outside = self.folder / "outside"
        outside.mkdir()
        (outside / "secret").write_text("of the host")
        self.inside(f"mkdir -p {outside}; ln -s {outside} /tmp/out; ln -s {outside}/secret /tmp/secret; ln -s ../../../../../.. /tmp/up; "
                    "ln -s /proc/self/root /tmp/magic")
        for running in True, False:
            if not running:
                self.compose("stop", "-t", "0", "s")
            self.assertIn("no such file", self.refused("-L", "s:/tmp/secret", "x"))
            self.cp("tree/file", "s:/tmp/out/planted")
            self.cp("tree/file", f"s:/tmp/up{outside}/planted")
            self.assertEqual(os.listdir(outside), ["secret"])
            self.refused("-L", "s:/tmp/magic", "x")
        # A hostile archive from a container stays in the folder it is put into.
        evil = io.BytesIO()
        with tarfile.open(fileobj=evil, mode="w") as archive:
            for name in "../escaped", "/escaped":
                entry = tarfile.TarInfo(name)
                archive.addfile(entry)
            link = tarfile.TarInfo("l")
            link.type, link.linkname = tarfile.SYMTYPE, str(outside)
            archive.addfile(link)
            archive.addfile(tarfile.TarInfo("l/escaped"))
        environment = {**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"}
        self.compose("start", "s")
        subprocess.run([BIN / "compose", "cp", "-", "s:/tmp"], cwd=self.project, input=evil.getvalue(), capture_output=True, env=environment,
                       check=False)
        self.assertEqual(os.listdir(outside), ["secret"])
        self.assertFalse(pathlib.Path("/escaped").exists())

    def test_a_race_of_links_crosses_nothing(self):
        outside = self.folder / "outside"
        outside.mkdir()
        self.compose("exec", "-d", "s", "sh", "-c", f"mkdir -p {outside} /tmp/a; cd /tmp; while true; do rm -rf b; mkdir b; rm -rf b; "
                     f"ln -s {outside} b; done")
        for number in range(30):
            self.cp("tree", "s:/tmp/b/x", check=False)
            # Each time to a new name: it may be the link itself that was copied, which is the host's own then.
            self.cp("s:/tmp/b", f"raced-{number}", check=False)
        self.assertEqual(os.listdir(outside), [])


class RemappedCopyTest(CopyTest):
    """The same where the container's root is nobody to the host."""
    arguments = ("--userns-remap", "100000:65536")


if __name__ == "__main__":
    unittest.main()
