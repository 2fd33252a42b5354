"""Volumes: filled from the image, mounted by their driver's options, kept and removed."""
import pathlib
import signal
import subprocess
import unittest

from harness import DaemonTest, wait_until

SLEEPER = "image: busybox, init: true, command: sleep 1000"


class VolumeTest(DaemonTest):
    def inside(self, service, command):
        return self.compose("exec", "-T", service, "sh", "-c", command).stdout

    def mounts(self):
        return [line for line in pathlib.Path("/proc/mounts").read_text().splitlines() if str(self.state) in line]

    def test_an_empty_volume_is_filled_from_the_image_once_even_for_two_at_a_time(self):
        self.write(f"name: fill\nservices:\n  a: {{{SLEEPER}, volumes: ['etc:/etc']}}\n"
                   f"  b: {{{SLEEPER}, volumes: ['etc:/etc']}}\n  c: {{{SLEEPER}, volumes: ['bare:/etc:nocopy']}}\n"
                   "volumes: {etc: , bare: }\n")
        self.compose("up", "-d")
        self.assertIn("nobody:x:65534", self.inside("a", "cat /etc/passwd"))
        self.assertEqual(self.inside("c", "ls /etc | grep -c passwd; true"), "0\n")
        self.inside("a", "rm /etc/passwd; echo mine > /etc/own")
        self.compose("down")
        self.compose("up", "-d")
        self.assertEqual(self.inside("b", "cat /etc/own; ls /etc | grep -c passwd; true"), "mine\n0\n")

    def test_a_tmpfs_volume_is_one_for_all_and_outlives_the_daemon_alone(self):
        self.write(f"name: memory\nservices:\n  a: {{{SLEEPER}, volumes: ['m:/m']}}\n  b: {{{SLEEPER}, volumes: ['m:/m']}}\n"
                   "volumes: {m: {driver_opts: {type: tmpfs, device: tmpfs, o: 'size=1m,mode=0750'}}}\n")
        self.compose("up", "-d")
        self.inside("a", "echo shared > /m/f")
        self.assertEqual(self.inside("b", "cat /m/f; stat -c %a /m"), "shared\n750\n")
        self.assertEqual(self.inside("b", "dd if=/dev/zero of=/m/big bs=1k count=4000 2>/dev/null; stat -c %s /m/big"), "1044480\n")
        self.compose("restart", "-t", "0", "a")
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        self.assertEqual(self.inside("a", "cat /m/f"), "shared\n")
        self.assertEqual(len(self.mounts()), 1)
        self.compose("stop", "-t", "0")
        wait_until(lambda: not self.mounts(), 5, "the volume to be unmounted")
        self.compose("start")
        self.assertEqual(self.inside("a", "ls /m"), "")

    def test_a_bound_folder_keeps_its_content_when_the_volume_is_removed(self):
        folder = self.folder / "content"
        folder.mkdir()
        (folder / "f").write_text("the host's\n")
        self.write(f"name: bound\nservices:\n  a: {{{SLEEPER}, volumes: ['v:/v', 'v:/sub:ro']}}\n"
                   f"volumes: {{v: {{driver: local, driver_opts: {{type: none, o: bind, device: '{folder}'}}}}}}\n")
        self.compose("up", "-d")
        self.assertEqual(self.inside("a", "cat /v/f; echo more > /v/g; echo no > /sub/h 2>/dev/null; ls /v"), "the host's\nf\ng\n")
        self.compose("down", "-v", "-t", "0")
        self.assertEqual(sorted(path.name for path in folder.iterdir()), ["f", "g"])
        self.assertEqual(self.mounts(), [])

    def test_an_image_of_ext4_is_mounted_through_a_loop_device(self):
        image = self.folder / "disk.img"
        with open(image, "wb") as file:
            file.truncate(8 << 20)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", image], check=True)
        self.write(f"name: loop\nservices:\n  a: {{{SLEEPER}, volumes: ['v:/v:nocopy']}}\n"
                   f"volumes: {{v: {{driver_opts: {{type: ext4, o: loop, device: '{image}'}}}}}}\n")
        self.compose("up", "-d")
        self.assertEqual(self.inside("a", "grep ' /v ' /proc/mounts | cut -d' ' -f3; ls /v"), "ext4\nlost+found\n")
        self.compose("down", "-t", "0")
        loops = subprocess.run(["losetup", "-j", image], capture_output=True, text=True)
        wait_until(lambda: not subprocess.run(["losetup", "-j", image], capture_output=True, text=True).stdout, 5,
                   f"the loop device to go: {loops.stdout}")

    def test_options_that_cannot_be_honoured_are_named(self):
        for options, message in (
                ("{type: nfs, o: 'addr=127.0.0.1,vers=4'}", "driver_opts.device is missing"),
                ("{type: none, o: bind, device: /nowhere/at/all}", "/nowhere/at/all"),
                ("{type: none, o: bind, device: /tmp, size: 1g}", "driver_opts.size is not known"),
                ("{type: nosuchfs, device: none}", "nosuchfs")):
            self.write(f"name: bad\nservices:\n  a: {{{SLEEPER}, volumes: ['v:/v']}}\nvolumes: {{v: {{driver_opts: {options}}}}}\n")
            up = self.compose("up", "-d", check=False)
            self.assertEqual(up.returncode, 1, options)
            self.assertIn(message, up.stderr)
            self.assertIn("bad_v", up.stderr)
            self.compose("down", "-v", "-t", "0")
            self.assertEqual(self.mounts(), [])

    def test_anonymous_volumes_stay_over_recreation_and_end_with_down_v(self):
        self.write(f"name: anonymous\nservices:\n  a: {{{SLEEPER}, volumes: [/data]}}\n")
        self.compose("up", "-d")
        self.inside("a", "echo kept > /data/f")
        self.compose("up", "-d", "--force-recreate")
        self.assertEqual(self.inside("a", "cat /data/f"), "kept\n")
        self.assertEqual(len(list((self.state / "volume").iterdir())), 1)
        self.compose("down", "-v", "-t", "0")
        self.assertEqual(list((self.state / "volume").iterdir()), [])

    def test_an_external_volume_must_be_there(self):
        self.write(f"name: outer\nservices:\n  a: {{{SLEEPER}, volumes: ['v:/v']}}\nvolumes: {{v: {{external: true, name: elsewhere}}}}\n")
        up = self.compose("up", "-d", check=False)
        self.assertEqual(up.returncode, 1)
        self.assertIn("volume elsewhere declared as external, but could not be found", up.stderr)

    def test_options_of_a_tmpfs_hold_over_the_usual_ones(self):
        self.write("name: t\nservices: {a: {image: busybox, init: true, command: sleep 1000, tmpfs: ['/x:exec,size=64k', '/y']}}\n")
        self.compose("up", "-d")
        mounts = {line.split()[1]: line.split()[3].split(",") for line in self.compose("exec", "-T", "a", "cat", "/proc/mounts").stdout.splitlines()}
        self.assertNotIn("noexec", mounts["/x"])
        self.assertIn("nosuid", mounts["/x"])
        self.assertIn("noexec", mounts["/y"])

    def test_nobody_but_root_reaches_what_the_engine_keeps(self):
        self.write("name: t\nservices: {a: {image: busybox, environment: {PASSWORD: hunter2}, command: 'true'}}\n")
        self.compose("up", "-d")
        look = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "find", self.state], text=True, capture_output=True)
        self.assertIn("Permission denied", look.stderr)


if __name__ == "__main__":
    unittest.main()
