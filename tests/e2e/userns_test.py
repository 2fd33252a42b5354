"""Containers with ids of their own (userns_remap): what they are as root is nobody to the host."""
import os
import subprocess
import unittest

from harness import BIN, StackTest, wait_until

FIRST = 200000


class UsernsTest(StackTest):
    arguments = ("--userns-remap", f"{FIRST}:65536")

    head = "name: users\n"
    domainname = "zone.test"  # as the kernel has it
    other_device = "/dev/other"

    def test_root_inside_is_nobody_outside(self):
        self.up("services:\n" + self.service("a", "volumes: [data:/data], cap_add: [NET_ADMIN]") + "volumes: {data: {}}\n")
        pid = self.container("a")["pid"]
        self.assertEqual(os.stat(f"/proc/{pid}").st_uid, FIRST)
        self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/user"), os.readlink("/proc/self/ns/user"))
        self.assertEqual(self.shell("a", "id -u; stat -c %u:%g / /bin /data").split(), ["0", "0:0", "0:0", "0:0"])
        # It may do in its own network what root may.
        self.assertEqual(self.shell("a", "ip addr add 10.9.9.9/32 dev lo && ping -c1 -W1 10.9.9.9 >/dev/null && echo fine"), "fine")
        self.assertEqual(self.shell("a", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"), "0")
        for forbidden in "mknod /x c 1 3", "echo 1 >/proc/sys/kernel/panic", "mount -t tmpfs x /mnt", "chown 70000 /data":
            self.assertNotEqual(self.shell("a", forbidden, check=False).returncode, 0, forbidden)

    def test_files_keep_their_ids_and_outlive_a_change_of_the_setting(self):
        stack = "services:\n" + self.service("a", "volumes: [data:/data]") + "volumes: {data: {}}\n"
        self.up(stack)
        self.shell("a", "echo word >/data/f && chown 33:44 /data/f && echo root >/root-file && mkdir /d && chmod 4755 /bin")
        [on_disk] = (self.state / "volume").rglob("f")
        self.assertEqual((on_disk.stat().st_uid, on_disk.stat().st_gid), (33, 44))
        self.compose("stop", "-t", "0")
        self.stop_daemon()
        self.arguments = ()
        self.start_daemon()
        self.compose("start")
        self.assertEqual(os.stat(f"/proc/{self.container('a')['pid']}").st_uid, 0)
        self.assertEqual(self.shell("a", "stat -c %u:%g /data/f /root-file; rm /root-file; touch /again").split(), ["33:44", "0:0"])
        self.compose("stop", "-t", "0")
        self.stop_daemon()
        self.arguments = UsernsTest.arguments
        self.start_daemon()
        self.compose("start")
        self.assertEqual(self.shell("a", "stat -c %u:%g /data/f /again; test ! -e /root-file").split(), ["33:44", "0:0"])

    def test_ways_in_and_out(self):
        (self.project / "secret").write_text("hidden")
        (self.project / "own").mkdir()
        up = self.up("services:\n" + self.service("a", "ports: ['127.0.0.1:18391:80'], user: '1000', domainname: zone.test, secrets: [{source: s, uid: '1000', mode: 0400}], "
                                             "volumes: ['./own:/own'], tmpfs: [/t], healthcheck: {test: 'test -e /proc/self', interval: 1s}",
                                             command="httpd -f -p 80 -h /etc") +
                self.service("b") + "secrets: {s: {file: ./secret}}\n", "--wait")
        self.assertEqual(os.stat(f"/proc/{self.container('a')['pid']}").st_uid, FIRST + 1000)
        self.assertEqual(self.shell("a", "cat /proc/sys/kernel/domainname"), self.domainname)
        self.assertEqual("services.a.domainname has no effect" in up.stderr, self.domainname == "(none)", up.stderr)
        self.assertEqual(self.shell("a", "cat /run/secrets/s; touch /t/x; stat -c %u /t/x"), "hidden1000")
        self.assertNotEqual(self.shell("a", "touch /own/x", check=False).returncode, 0)
        self.assertEqual(self.shell("b", "wget -qO- http://a/passwd | head -c 4; wget -qO /dev/null http://a/group && echo"), "root")
        wait_until(lambda: os.system("curl -fsS -o /dev/null http://127.0.0.1:18391/passwd") == 0, 5, "the published port")
        (self.project / "in").write_text("copied")
        self.compose("cp", "in", "b:/in")
        self.assertEqual(self.shell("b", "cat /in; stat -c %u:%g /in"), "copied0:0")
        self.shell("b", "chown 12:34 /in")
        self.compose("cp", "-a", "b:/in", "out")
        out = self.project / "out"
        self.assertEqual((out.read_text(), out.stat().st_uid, out.stat().st_gid), ("copied", 12, 34))
        self.assertEqual(self.compose("exec", "-T", "-u", "7:8", "b", "id", "-u").stdout.strip(), "7")
        self.compose("restart", "-t", "0")
        self.assertEqual(self.shell("b", "cat /in"), "copied")

    def test_namespaces_of_another(self):
        self.up("services:\n" + self.service("a", "ipc: shareable", command="sleep 4711") +
                self.service("p", "'pid': 'service:a'") + self.service("n", "network_mode: 'service:a', cap_add: [NET_ADMIN]") +
                self.service("i", "ipc: 'service:a'"))
        self.assertIn("sleep 4711", self.shell("p", "ps"))
        self.shell("n", "ip addr add 10.9.9.8/32 dev lo")
        self.assertIn("10.9.9.8", self.shell("a", "ip addr"))
        self.shell("i", "echo hello >/dev/shm/word")
        self.assertEqual(self.shell("a", "cat /dev/shm/word"), "hello")
        spaces = {os.readlink(f"/proc/{self.container(each)['pid']}/ns/user") for each in "apni"}
        self.assertEqual(len(spaces), 1)

    def test_what_belongs_to_the_host(self):
        for keys in "privileged: true", "use_api_socket: true", "network_mode: host", "'pid': host", "ipc: host":
            refused = self.up("services:\n" + self.service("a", keys), check=False)
            self.assertNotEqual(refused.returncode, 0, keys)
            self.assertIn("add userns_mode: host", refused.stderr)
            self.up("services:\n" + self.service("a", keys + ", userns_mode: host"))
            self.assertEqual(os.stat(f"/proc/{self.container('a')['pid']}").st_uid, 0)
        refused = self.up("services:\n" + self.service("a", "user: '70000'"), check=False)
        self.assertIn("user 70000:0 is beyond the 65536 ids", refused.stderr)
        refused = self.up("services:\n" + self.service("a", "group_add: ['70000']"), check=False)
        self.assertIn("group 70000 is beyond the 65536 ids", refused.stderr)
        joined = self.up("services:\n" + self.service("a", "userns_mode: host") + self.service("b", "network_mode: 'service:a'"), check=False)
        self.assertIn("give it `userns_mode: host` as well", joined.stderr)

    def test_devices(self):
        self.up("services:\n" + self.service("a", f"devices: ['/dev/net/tun', '/dev/fuse:{self.other_device}:r']"))
        self.assertEqual(self.shell("a", f"ls /dev/net/tun {self.other_device}").split(), sorted(["/dev/net/tun", self.other_device]))
        self.assertFalse(os.path.exists("/pid"))  # where crun 1.8 leaves it that is told a relative name

    def test_the_null_device_of_the_host_stays_its_own(self):
        before = os.stat("/dev/null")
        self.up("services:\n" + self.service("a") + self.service("b", "user: '1000'"))
        for service in "ab":
            self.compose("exec", "-d", "-u", "7", service, "true")
            self.shell(service, "chmod 600 /dev/null; true")
        after = os.stat("/dev/null")
        self.assertEqual((after.st_uid, after.st_gid, after.st_mode), (before.st_uid, before.st_gid, before.st_mode))

    def test_the_setting(self):
        for wrong in "nobody-like-that", "0:65536", "100000:10", "x:y":
            done = subprocess.run([BIN / "composed", "--instance", self.instance, "--config", "/dev/null", "--state", self.folder / "other",
                                   "--run", self.folder / "other", "--userns-remap", wrong], text=True, capture_output=True, timeout=20)
            self.assertEqual(done.returncode, 1)
            self.assertIn("userns_remap: ", done.stderr)


if __name__ == "__main__":
    unittest.main()
