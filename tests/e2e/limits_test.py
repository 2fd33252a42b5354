"""What a service may use of the machine: each key is looked for at the kernel, in the cgroup or in /proc."""
import json
import pathlib
import unittest

from harness import DaemonTest

CGROUPS = pathlib.Path("/sys/fs/cgroup")
UNIFIED = (CGROUPS / "cgroup.controllers").exists()
MiB = 1 << 20


class LimitsTest(DaemonTest):
    def up(self, keys, name="limited", check=True, more=""):
        """One service `s` with further keys, as YAML of a mapping's inside."""
        self.write(f"name: {name}\nservices:\n  s:\n    image: busybox\n    init: true\n    command: sleep 100000\n"
                   + "".join(f"    {line}\n" for line in keys.splitlines()) + more)
        return self.compose("up", "-d", "-t", "0", check=check)

    def pid(self, service="s"):
        return self.container(service)["pid"]

    def cgroup(self, controller=""):
        """The container's cgroup: the one, or that of a controller."""
        lines = (line.split(":", 2) for line in pathlib.Path(f"/proc/{self.pid()}/cgroup").read_text().splitlines())
        path = next(path for _, controllers, path in lines if controller in controllers.split(","))
        return CGROUPS / controller / path.strip("/")

    def setting(self, controller, legacy, unified=None):
        """A file of the container's cgroup; None where this version of cgroups has none."""
        if UNIFIED:
            return (self.cgroup() / unified).read_text().strip() if unified else None
        return (self.cgroup(controller) / legacy).read_text().strip()

    def inside(self, *command, service="s", check=True):
        return self.compose("exec", "-T", service, *command, check=check)

    def shell(self, script, service="s", check=True):
        return self.inside("sh", "-c", script, service=service, check=check).stdout.strip()

    def assert_setting(self, controller, legacy, unified, value, value_unified=None):
        self.assertEqual(self.setting(controller, legacy, unified), str(value_unified if UNIFIED else value), unified)

    def test_limits_are_in_the_cgroup(self):
        self.up("mem_limit: 64m\nmemswap_limit: 96m\nmem_reservation: 32m\ncpus: 0.5\ncpu_shares: 512\ncpuset: '0'\npids_limit: 50")
        self.assert_setting("memory", "memory.limit_in_bytes", "memory.max", 64 * MiB, 64 * MiB)
        self.assert_setting("memory", "memory.memsw.limit_in_bytes", "memory.swap.max", 96 * MiB, 32 * MiB)
        self.assert_setting("memory", "memory.soft_limit_in_bytes", "memory.low", 32 * MiB, 32 * MiB)
        self.assert_setting("cpu", "cpu.cfs_quota_us", "cpu.max", 50000, "50000 100000")
        self.assert_setting("cpu", "cpu.shares", "cpu.weight", 512, 20)
        self.assert_setting("cpuset", "cpuset.cpus", "cpuset.cpus", 0, 0)
        self.assert_setting("pids", "pids.max", "pids.max", 50, 50)

    def test_memory_without_memswap_limit_has_as_much_swap_again(self):
        self.up("mem_limit: 64m")
        self.assert_setting("memory", "memory.memsw.limit_in_bytes", "memory.swap.max", 128 * MiB, 64 * MiB)

    def test_deploy_is_over_the_short_keys(self):
        self.up("deploy:\n  resources:\n    limits: {cpus: '0.25', memory: 48M, pids: 40}\n    reservations: {memory: 16M}")
        self.assert_setting("memory", "memory.limit_in_bytes", "memory.max", 48 * MiB, 48 * MiB)
        self.assert_setting("memory", "memory.soft_limit_in_bytes", "memory.low", 16 * MiB, 16 * MiB)
        self.assert_setting("cpu", "cpu.cfs_quota_us", "cpu.max", 25000, "25000 100000")
        self.assert_setting("pids", "pids.max", "pids.max", 40, 40)

    def test_more_of_the_same(self):
        self.up("cpu_period: 50000\ncpu_quota: 20000\nmem_limit: 64m\nmem_swappiness: 10\nmemswap_limit: -1")
        self.assert_setting("cpu", "cpu.cfs_period_us", "cpu.max", 50000, "20000 50000")
        self.assert_setting("cpu", "cpu.cfs_quota_us", "cpu.max", 20000, "20000 50000")
        self.assertIn(self.setting("memory", "memory.memsw.limit_in_bytes", "memory.swap.max"), ("9223372036854771712", "max"))
        if not UNIFIED:
            self.assert_setting("memory", "memory.swappiness", None, 10)

    def test_no_limit_by_name_is_none_from_the_start(self):
        for unlimited in "pids_limit: -1", "pids_limit: 0", "cpu_quota: -1", "mem_limit: 64m\nmemswap_limit: -1", "cpus: 0":
            self.up(unlimited)
            self.assert_setting("pids", "pids.max", "pids.max", "max", "max")
            self.assert_setting("cpu", "cpu.cfs_quota_us", "cpu.max", -1, "max 100000")
            self.compose("down", "-t", "0")

    def test_limits_change_while_it_runs(self):
        self.up("mem_limit: 64m\ncpus: 0.5\npids_limit: 50")
        before = self.container("s")
        up = self.up("mem_limit: 128m\ncpus: 0.75\npids_limit: 60")
        after = self.container("s")
        self.assertEqual((before["id"], before["pid"]), (after["id"], after["pid"]))
        self.assertIn("Updated", up.stderr + up.stdout)
        self.assert_setting("memory", "memory.limit_in_bytes", "memory.max", 128 * MiB, 128 * MiB)
        self.assert_setting("cpu", "cpu.cfs_quota_us", "cpu.max", 75000, "75000 100000")
        self.assert_setting("pids", "pids.max", "pids.max", 60, 60)
        self.up("mem_limit: 32m\ncpuset: '0'")  # less of the one, no other
        self.assertEqual(self.container("s")["pid"], before["pid"])
        self.assert_setting("memory", "memory.limit_in_bytes", "memory.max", 32 * MiB, 32 * MiB)
        self.assert_setting("cpu", "cpu.cfs_quota_us", "cpu.max", -1, "max 100000")
        self.assert_setting("pids", "pids.max", "pids.max", "max", "max")
        self.assert_setting("cpuset", "cpuset.cpus", "cpuset.cpus", 0, 0)
        self.up("")
        self.assertEqual(self.container("s")["pid"], before["pid"])
        self.assertIn(self.setting("memory", "memory.limit_in_bytes", "memory.max"), ("9223372036854771712", "max"))
        self.assertNotIn("Updated", self.compose("up", "-d").stderr)
        self.up("mem_limit: 40m")
        self.compose("restart", "-t", "0")
        self.assert_setting("memory", "memory.limit_in_bytes", "memory.max", 40 * MiB, 40 * MiB)

    def test_a_limit_below_what_is_used_is_refused(self):
        self.up("mem_limit: 64m\nshm_size: 60m")
        self.shell("head -c 40000000 /dev/zero >/dev/shm/much")
        before = self.pid()
        refused = self.up("mem_limit: 16m\nshm_size: 60m", check=False)
        self.assertEqual(refused.returncode, 1, refused.stderr)
        self.assertIn("mem_limit", refused.stderr)
        self.assertEqual(self.pid(), before)
        self.assert_setting("memory", "memory.limit_in_bytes", "memory.max", 64 * MiB, 64 * MiB)

    def test_ulimits_shared_memory_and_oom_score(self):
        self.up("shm_size: 32m\noom_score_adj: 500\nulimits:\n  nofile: {soft: 1000, hard: 2000}\n  core: 0")
        limits = pathlib.Path(f"/proc/{self.pid()}/limits").read_text().splitlines()
        row = next(line.split() for line in limits if line.startswith("Max open files"))
        self.assertEqual(row[3:5], ["1000", "2000"])
        row = next(line.split() for line in limits if line.startswith("Max core file size"))
        self.assertEqual(row[4:6], ["0", "0"])
        self.assertEqual(pathlib.Path(f"/proc/{self.pid()}/oom_score_adj").read_text().strip(), "500")
        self.assertIn("32768", self.shell("df -k /dev/shm"))

    def test_what_the_host_cannot_do_is_a_warning_that_names_the_key(self):
        up = self.up("cpus: 99\nulimits: {nofile: 100000000}")
        self.assertIn("services.s.cpus: 99 is no limit on this host", up.stderr)
        capabilities = int(next(line.split()[1] for line in pathlib.Path("/proc/self/status").read_text().splitlines()
                                if line.startswith("CapEff")), 16)
        if not capabilities >> 24 & 1:  # CAP_SYS_RESOURCE
            self.assertIn("services.s.ulimits.nofile: 100000000 is lowered to", up.stderr)
        up = self.up("mem_swappiness: 20\noom_kill_disable: true\nmem_limit: 64m")
        for key in "mem_swappiness", "oom_kill_disable":
            self.assertEqual(f"services.s.{key} has no effect" in up.stderr, UNIFIED, up.stderr)
        if not UNIFIED:
            self.assertIn("oom_kill_disable 1", self.setting("memory", "memory.oom_control"))

    def test_weights_of_block_devices_and_too_little_of_a_cpu(self):
        up = self.up("blkio_config: {weight: 300}\ncpus: 0.001")
        self.assertIn("services.s.cpus is raised to 0.01", up.stderr)
        self.assert_setting("cpu", "cpu.cfs_quota_us", "cpu.max", 1000, "1000 100000")
        if "blkio_config.weight has no effect" not in up.stderr:
            # Unified, BFQ's file where that scheduler is, else io.cost's, which goes from 1 to 10,000 where BFQ's goes from 10 to 1,000.
            unified = "io.bfq.weight" if UNIFIED and (self.cgroup() / "io.bfq.weight").exists() else "io.weight"
            self.assert_setting("blkio", "blkio.weight", unified, 300,
                                {"io.bfq.weight": "default 300", "io.weight": f"default {1 + (300 - 10) * 9999 // 990}"}[unified])

    def test_real_time_takes_a_budget_or_is_told_to_have_no_effect(self):
        told = self.up("cpu_rt_runtime: 1000\ncpu_rt_period: 1000000").stderr
        self.assertEqual(self.container("s")["state"], "running")
        for key in "cpu_rt_runtime", "cpu_rt_period":
            if f"services.s.{key} has no effect" not in told:
                self.assert_setting("cpu", f"cpu.{key[4:]}_us", "none", {"cpu_rt_runtime": 1000, "cpu_rt_period": 1000000}[key], "")

    def test_what_no_host_can_do_is_an_error_that_names_the_key(self):
        failed = self.up("mem_limit: 1m\nmemswap_limit: 2m\ncpus: 1\ncpu_quota: 5000\ncpuset: x\nulimits: {nofiles: 3}\n"
                         "devices: [fuse]\ndevice_cgroup_rules: ['c 1 rwm', 'a 7:* r']\nsysctls: {kernel.panic: 1}\nipc: mine\n"
                         "isolation: hyperv\nstorage_opt: {size: 1G}\nsecurity_opt: [foo=bar, 'no-new-privileges:maybe']\nuserns_mode: keep-id\n"
                         "credential_spec: {file: x.json}\nuts: host\nhostname: mine", check=False)
        self.assertEqual(failed.returncode, 1)
        for key in ("mem_limit", "cpus", "cpuset", "ulimits.nofiles", "devices[0]", "device_cgroup_rules[0]", "device_cgroup_rules[1]",
                    "sysctls.kernel.panic", "ipc", "isolation", "storage_opt", "security_opt[0]", "security_opt[1]", "userns_mode", "credential_spec",
                    "hostname"):
            self.assertIn(f"services.s.{key}", failed.stderr)
        self.assertEqual(self.containers(), [])
        failed = self.up("cpuset: '4000'", check=False)
        self.assertIn("names CPU 4000, which this host does not have", failed.stderr)
        self.assertEqual(self.containers(), [])

    def test_devices(self):
        self.up("devices: ['/dev/fuse:/dev/melted:r']\ndevice_cgroup_rules: ['c 10:237 rw']\ncap_add: [MKNOD]")
        self.shell("exec 3</dev/melted")
        denied = self.inside("sh", "-c", "exec 3<>/dev/melted", check=False)
        self.assertIn("Operation not permitted", denied.stderr)
        self.shell("mknod /tmp/loop c 10 237 && exec 3<>/tmp/loop")  # as the rule says
        denied = self.inside("sh", "-c", "mknod /tmp/fuse c 10 229 && exec 3<>/tmp/fuse", check=False)
        self.assertIn("Operation not permitted", denied.stderr)
        failed = self.up("devices: [/dev/there-is-none]", check=False)
        self.assertIn("/dev/there-is-none", failed.stderr)

    def test_rates_of_block_devices(self):
        disk = next(iter(sorted(each for each in pathlib.Path("/sys/block").iterdir()
                                if each.name.startswith(("vd", "sd", "nvme")))), None)
        self.assertIsNotNone(disk, "this test needs a disk")
        self.up(f"blkio_config:\n  device_read_bps: [{{path: /dev/{disk.name}, rate: 10mb}}]\n  device_write_iops: [{{path: /dev/{disk.name}, rate: 120}}]")
        numbers = (disk / "dev").read_text().strip()
        if UNIFIED:
            self.assertIn(f"{numbers} rbps={10 * MiB} wbps=max riops=max wiops=120", self.setting("io", None, "io.max"))
        else:
            self.assertEqual(self.setting("blkio", "blkio.throttle.read_bps_device"), f"{numbers} {10 * MiB}")
            self.assertEqual(self.setting("blkio", "blkio.throttle.write_iops_device"), f"{numbers} 120")

    def test_devices_of_the_container_device_interface(self):
        specifications = self.folder / "cdi"
        specifications.mkdir()
        given = self.folder / "given"
        given.write_text("from the vendor\n")
        (specifications / "vendor.json").write_text(json.dumps({
            "cdiVersion": "0.6.0", "kind": "vendor.com/gpu",
            "containerEdits": {"env": ["DRIVER=loaded"]},
            "devices": [{"name": str(number), "containerEdits": {
                "env": [f"CARD_{number}=yes"], "deviceNodes": [{"path": f"/dev/card{number}", "hostPath": "/dev/zero"}],
                "mounts": [{"hostPath": str(given), "containerPath": f"/opt/card{number}", "options": ["ro", "nosuid"]}],
                "hooks": [{"hookName": "createRuntime", "path": "/bin/sh", "args": ["sh", "-c", f"touch {self.folder}/hook{number}"]}]}}
                for number in range(3)]}))
        (specifications / "broken.yaml").write_text("kind: [")
        self.stop_daemon()
        self.arguments = ("--cdi-spec-dirs", str(specifications))
        self.start_daemon()
        self.up("devices: [vendor.com/gpu=1]")
        self.assertEqual(self.shell("cat /opt/card1; echo $DRIVER $CARD_1 $CARD_0; head -c 2 /dev/card1 | od -An -tx1"),
                         "from the vendor\nloaded yes \n 00 00".replace(" \n 00", "\n 00"))
        self.assertTrue((self.folder / "hook1").exists())
        self.assertFalse((self.folder / "hook0").exists())
        self.up("gpus: [{driver: vendor, count: 2}]", name="gpus")
        self.assertEqual(self.compose("-p", "gpus", "exec", "-T", "s", "sh", "-c", "ls /opt").stdout.split(), ["card0", "card1"])
        failed = self.up("deploy: {resources: {reservations: {devices: [{driver: nvidia, capabilities: [gpu]}]}}}", check=False)
        self.assertIn("there is no CDI specification", failed.stderr)
        failed = self.up("devices: [vendor.com/gpu=9]", check=False)
        self.assertIn('CDI device "vendor.com/gpu=9" is in no specification', failed.stderr)


if __name__ == "__main__":
    unittest.main()
