"""The end-to-end tests once more on a machine with systemd and cgroup v2, where the daemon is a service of systemd."""
import unittest

from machine import boot

PREPARE = """
set -e
install -t /usr/local/bin bin/composed bin/composed-shim bin/compose
export COMPOSED_BIN=$PWD/bin COMPOSED_TEST_CACHE=$PWD/cache COMPOSED_TEST_PATIENCE=6
"""
INSTALL = PREPARE + """
[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]
cp docker/composed.service docker/composed.socket /etc/systemd/system/
systemctl daemon-reload
"""


class Cgroup2Test(unittest.TestCase):
    def test_a_stack_goes_on_when_systemd_restarts_the_service(self):
        output, code = boot(INSTALL + """
            composed --check
            systemctl start composed
            compose load -i cache/busybox.tar
            cd examples/hello
            compose --ansi never up -d --wait
            curl -sS --retry 20 --retry-connrefused localhost:8080
            before=$(compose ps -q)
            pid=$(pidof httpd)
            systemctl restart composed
            [ "$(compose ps -q)" = "$before" ]
            [ "$(pidof httpd)" = "$pid" ]
            curl -sS localhost:8080
            # Killed as often as systemd would put up with, and hung: it is back each time, and the container has not noticed.
            back() { for _ in $(seq 600); do [ "$(systemctl show -p MainPID --value composed)" != "$1" ] && [ "$(systemctl show -p MainPID --value composed)" != 0 ] &&
                systemctl -q is-active composed && return; sleep 0.1; done; systemctl status composed; return 1; }
            [ "$(systemctl show -p StartLimitIntervalUSec --value composed)" = 0 ]
            for signal in KILL KILL KILL STOP; do
                daemon=$(systemctl show -p MainPID --value composed)
                kill -$signal $daemon
                back $daemon
            done
            [ "$(pidof httpd)" = "$pid" ]
            systemctl stop composed
            curl -sS localhost:8080
            systemctl start composed
            compose --ansi never down -v
            [ -z "$(ls -d /sys/fs/cgroup/composed/*/ 2>/dev/null)" ]
            """, timeout=400)
        self.assertEqual(code, 0, output)
        self.assertEqual(output.count("Hello from composed"), 3, output)
        self.assertNotIn("MISSING", output)

    def test_the_end_to_end_tests_hold(self):
        output, code = boot(INSTALL + """
            for test in hello lifecycle volume limits userns; do
                python3 tests/e2e/${test}_test.py
            done
            python3 tests/e2e/networks_test.py NetworksTest.test_a_parent_may_be_a_vlan_that_is_made_for_it
            """, timeout=1500)
        self.assertEqual(code, 0, output[-8000:])


if __name__ == "__main__":
    unittest.main()
