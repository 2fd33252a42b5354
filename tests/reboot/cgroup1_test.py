"""Containers on a machine that has cgroup v1 alone, as older distributions do."""
import unittest

from cgroup2_test import PREPARE
from machine import boot

# systemd 252 mounts no v2 hierarchy at all then (kernel-command-line(7)).
LEGACY = "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1"


class Cgroup1Test(unittest.TestCase):
    def test_the_end_to_end_tests_hold(self):
        output, code = boot(PREPARE + """
            ! grep -q cgroup2 /proc/mounts
            grep -q 'cgroup.*freezer' /proc/mounts
            composed --check
            for test in hello volume; do
                python3 tests/e2e/${test}_test.py
            done
            """, timeout=600, kernel=LEGACY)
        self.assertEqual(code, 0, output[-8000:])
        self.assertNotIn("MISSING", output)


if __name__ == "__main__":
    unittest.main()
