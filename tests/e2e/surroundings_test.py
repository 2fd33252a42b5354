"""What a service shares with the host and with others, and how it is set off from them, seen from inside."""
import json
import os
import pathlib
import shutil
import unittest

from harness import StackTest, wait_until

CGROUPS = pathlib.Path("/sys/fs/cgroup")


class SurroundingsTest(StackTest):
    head = "name: around\nservices:\n"

    def test_processes_of_another_service(self):
        self.up(self.service("a", command="sleep 4711") + self.service("b", "'pid': 'service:a'"))
        self.assertIn("sleep 4711", self.shell("b", "ps"))
        self.assertIn("sleep 100000", self.shell("a", "ps"))
        first = self.container("b")["pid"]
        self.compose("restart", "-t", "0", "a")  # takes b along
        wait_until(lambda: self.container("b")["state"] == "running" and self.container("b")["pid"] != first, 10, "b to be anew")
        self.assertIn("sleep 4711", self.shell("b", "ps"))
        os.kill(self.container("a")["pid"], 9)
        wait_until(lambda: self.container("b")["state"] == "exited", 10, "b to end with the namespace")

    def test_processes_of_the_host(self):
        self.up(self.service("s", "'pid': host"))
        self.assertIn(str(self.daemon.pid), self.shell("s", "ls /proc"))

    def test_shared_memory(self):
        self.up(self.service("a", "ipc: shareable, shm_size: 16m") + self.service("b", "ipc: 'service:a'") + self.service("none", "ipc: none"))
        self.shell("a", "echo hello >/dev/shm/word")
        self.assertEqual(self.shell("b", "cat /dev/shm/word"), "hello")
        self.shell("b", "echo back >/dev/shm/word")
        self.assertEqual(self.shell("a", "cat /dev/shm/word"), "back")
        self.assertEqual(*(os.readlink(f"/proc/{self.container(each)['pid']}/ns/ipc") for each in "ab"))
        self.assertNotIn("/dev/shm", self.shell("none", "cat /proc/mounts"))
        refused = self.up(self.service("a") + self.service("b", "ipc: 'service:a'"), check=False)
        self.assertIn("ipc: shareable", refused.stderr)

    def test_ipc_and_names_of_the_host(self):
        self.up(self.service("s", "ipc: host, uts: host"))
        pid = self.container("s")["pid"]
        for kind in "ipc", "uts":
            self.assertEqual(os.readlink(f"/proc/{pid}/ns/{kind}"), os.readlink(f"/proc/self/ns/{kind}"))

    def test_cgroup_namespace(self):
        self.up(self.service("mine", "cgroup: private") + self.service("hosts", "cgroup: host"))
        self.assertIn(":/\n", self.shell("mine", "cat /proc/1/cgroup") + "\n")
        self.assertIn(self.instance, self.shell("hosts", "cat /proc/1/cgroup"))

    def test_cgroup_parent(self):
        parent = f"{self.instance}-parent"
        self.addCleanup(self.remove_cgroup, parent)
        self.up(self.service("s", f"cgroup_parent: /{parent}"))
        container = self.container("s")
        self.assertIn(f"/{parent}/{container['id']}", pathlib.Path(f"/proc/{container['pid']}/cgroup").read_text())
        self.compose("restart", "-t", "0")
        self.compose("down", "-t", "0")
        left = [str(each) for each in CGROUPS.glob(f"**/{parent}/*/")]
        self.assertEqual(left, [])

    @staticmethod
    def remove_cgroup(name):
        for folder in CGROUPS.glob(f"**/{name}"):
            folder.rmdir()

    def test_sysctls(self):
        self.up(self.service("s", "sysctls: {net.core.somaxconn: 321, kernel.msgmax: 4321, kernel.domainname: zone.test}"))
        self.assertEqual(self.shell("s", "cat /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax /proc/sys/kernel/domainname").split(),
                         ["321", "4321", "zone.test"])
        for keys, told in (("sysctls: {net.nothing.here: 1}", "sysctls: "), ("cap_add: [NOPE]", 'cap_add: capability "NOPE"'),
                           ("cap_drop: [NOPE]", 'cap_drop: capability "NOPE"'), ("devices: [/dev/nothing]", 'devices: use "/dev/nothing"')):
            self.assertIn(told, self.up(self.service("s", keys), check=False).stderr)

    def test_groups_and_privileges(self):
        self.up(self.service("s", "user: '1000:1000', group_add: ['1234', 55], security_opt: ['no-new-privileges:true'], cap_drop: [ALL]"))
        groups = self.shell("s", "id -G").split()
        self.assertIn("1234", groups)
        self.assertIn("55", groups)
        status = self.shell("s", "cat /proc/self/status")
        self.assertIn("NoNewPrivs:\t1", status)
        self.assertIn("CapBnd:\t0000000000000000", status)

        self.assertIn('group "nobodys" is not in /etc/group', self.up(self.service("s", "group_add: [nobodys]"), check=False).stderr)

    def test_seccomp_profile_of_a_file(self):
        (self.project / "strict.json").write_text(json.dumps({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}))
        self.up(self.service("s", "security_opt: ['seccomp=./strict.json']") + self.service("free", "security_opt: ['seccomp:unconfined']"))
        self.assertIn("Operation not permitted", self.shell("s", "mkdir /tmp/x", check=False).stderr)
        self.shell("s", "echo x >/tmp/y")
        self.assertIn("Seccomp:\t0", self.shell("free", "cat /proc/self/status"))
        (self.project / "strict.json").unlink()
        self.compose("restart", "-t", "0")  # the daemon keeps it
        self.assertIn("Operation not permitted", self.shell("s", "mkdir /tmp/x", check=False).stderr)
        missing = self.compose("up", "-d", check=False)
        self.assertIn("strict.json", missing.stderr)
        for text, why in (("{", "it is no JSON"), ("[]", 'it has no "defaultAction"'),
                          ('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": 1}', 'its "syscalls" are no list')):
            (self.project / "strict.json").write_text(text)
            failed = self.compose("up", "-d", check=False)
            self.assertEqual(failed.returncode, 1)
            self.assertRegex(failed.stderr, f'services.s.security_opt: seccomp: file ".*/strict.json" is no profile: {why}')
        (self.project / "strict.json").write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
        self.compose("up", "-d", "-t", "0")
        self.shell("s", "mkdir /tmp/x")

    def test_a_profile_that_is_asked_for_holds_for_the_privileged_too(self):
        (self.project / "strict.json").write_text(json.dumps({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}))
        self.up(self.service("s", "privileged: true, security_opt: ['seccomp=./strict.json']") + self.service("free", "privileged: true"))
        self.assertIn("Operation not permitted", self.shell("s", "mkdir /tmp/x", check=False).stderr)
        self.assertIn("Seccomp:\t0", self.shell("free", "cat /proc/self/status"))

    @unittest.skipUnless(shutil.which("runc") and shutil.which("crun"), "both runtimes are there after make deps")
    def test_runtime_of_a_service(self):
        self.up(self.service("c") + self.service("r", "runtime: runc"))
        log = pathlib.Path(self.run_folder) / "container" / self.container("r")["id"] / "runtime"
        self.assertTrue(log.read_text().endswith("/runc"))
        self.assertEqual(self.shell("r", "echo works"), "works")
        self.compose("restart", "-t", "0")
        self.compose("down", "-t", "0")
        failed = self.up(self.service("s", "runtime: there-is-none"), check=False)
        self.assertIn('"there-is-none" is not there', failed.stderr)

    def test_api_socket(self):
        self.up(self.service("s", "use_api_socket: true"))
        self.shell("s", "test -S /var/run/docker.sock && test -S /run/composed/composed.sock")

    def test_apparmor_and_selinux_without_them_are_warnings(self):
        up = self.up(self.service("s", "security_opt: ['apparmor=mine', 'label=type:my_t']"))
        if not pathlib.Path("/sys/module/apparmor/parameters/enabled").exists():
            self.assertIn("services.s.security_opt apparmor has no effect", up.stderr)
        if not pathlib.Path("/sys/fs/selinux/enforce").exists():
            self.assertIn("services.s.security_opt label has no effect", up.stderr)


if __name__ == "__main__":
    unittest.main()
