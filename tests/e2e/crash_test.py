"""kill -9 of the daemon at any moment of any operation: the next one carries on, and in the end nothing is lost or left over."""
import os
import random
import signal
import subprocess
import threading
import time
import unittest
import urllib.request

from harness import BIN, DaemonTest, wait_until

ROUNDS = 30
OPERATIONS = (("up", "-d"), ("up", "-d", "--force-recreate"), ("restart", "-t", "0"), ("down", "-t", "0"), ("stop", "-t", "0"),
              ("up", "-d", "--remove-orphans"), ("kill",), ("rm", "-f"))


class CrashTest(DaemonTest):
    def test_the_daemon_is_killed_at_any_moment(self):
        seed = int(os.environ.get("COMPOSED_TEST_SEED", random.randrange(1 << 30)))
        chance = random.Random(seed)
        stack = """name: crash
services:
  a: {image: busybox, init: true, command: sleep 1000, volumes: ['data:/data'], restart: always}
  b: {image: busybox, init: true, command: sleep 1000, depends_on: [a], ports: ['127.0.0.1:0:80'], restart: unless-stopped}
  c: {image: busybox, init: true, command: sleep 1000, scale: 3, depends_on: [a], environment: {ROUND: '%d'}}
  job: {image: busybox, command: 'true', depends_on: [b]}
volumes: {data: , memory: {driver_opts: {type: tmpfs, device: tmpfs}}}
"""
        try:
            for number in range(ROUNDS):
                self.write(stack % (number // 4))
                operation = chance.choice(OPERATIONS)
                client = subprocess.Popen([BIN / "compose", *operation], cwd=self.project, stdin=subprocess.DEVNULL,
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                          env={**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock", "COMPOSED_RECONNECT": "0"})
                time.sleep(chance.random() ** 2 * 0.5)
                self.stop_daemon(signal.SIGKILL)
                client.wait(20)
                if chance.random() < 0.3:
                    time.sleep(chance.random() * 0.3)
                self.start_daemon()
            self.compose("up", "-d", "--remove-orphans")
            self.converged()
            self.compose("down", "-v", "-t", "0")
            self.assertEqual(self.containers(), [])
            self.assertEqual(list((self.state / "container").iterdir()), [])
            self.assertEqual(list((self.state / "volume").iterdir()), [])
        except BaseException:
            print(f"COMPOSED_TEST_SEED={seed}")
            raise

    def test_a_shim_that_answers_late_keeps_its_port_its_name_and_its_policy(self):
        self.write("""name: late
services:
  web: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, ports: ['127.0.0.1:18199:80'], restart: always}
  other: {image: busybox, init: true, command: sleep 1000}
""")
        self.compose("up", "-d")
        web = self.container("web")
        shim = next(pid for pid, command in self.processes() if "composed-shim" in command and web["id"] in command)
        self.stop_daemon(signal.SIGKILL)
        os.kill(shim, signal.SIGSTOP)
        try:
            self.start_daemon()
            time.sleep(0.5)
        finally:
            os.kill(shim, signal.SIGCONT)
        self.wait_for_state("web", "running")
        self.assertEqual(self.container("web")["id"], web["id"])
        for restarts in range(2):
            self.assertEqual((self.container("web")["state"], self.container("web")["restart_count"]), ("running", restarts))
            self.assertIn("root", urllib.request.urlopen("http://127.0.0.1:18199/passwd", timeout=2).read().decode())
            self.assertIn("root", self.compose("exec", "-T", "other", "wget", "-qO-", "http://web/passwd").stdout)
            if restarts == 0:
                self.compose("exec", "-T", "web", "killall", "httpd")
                wait_until(lambda: self.container("web")["restart_count"] == 1 and self.container("web")["state"] == "running", 10,
                           "the restart")

    def converged(self):
        def whole():
            states = sorted((each["service"], each["state"]) for each in self.containers())
            return states == [("a", "running"), ("b", "running"), ("c", "running"), ("c", "running"), ("c", "running"),
                              ("job", "exited")]
        wait_until(whole, 10, "the stack to be whole")
        for service in ("a", "b"):
            self.assertEqual(self.compose("exec", "-T", service, "echo", "here").stdout, "here\n")
        again = self.compose("up", "-d").stderr
        self.assertNotIn("Creating", again)

    def test_what_ends_while_a_daemon_takes_over_has_ended(self):
        """A shim that does not answer holds the taking over up for two seconds, in which the others' runs end."""
        self.write("""name: late
services:
  late: {image: busybox, init: true, command: sleep 1000}
  once: {image: busybox, command: sleep 1000, scale: 4}
  again: {image: busybox, command: httpd -f -p 80 -h /etc, scale: 4, ports: ['127.0.0.1:18191-18194:80'], restart: always}
""")
        self.compose("up", "-d")
        before = self.containers()
        late = self.container("late")["id"]
        shim = next(pid for pid, command in self.processes() if "composed-shim" in command and late in command)
        self.stop_daemon(signal.SIGKILL)
        os.kill(shim, signal.SIGSTOP)
        ends = threading.Timer(0.7, lambda: [os.kill(each["pid"], signal.SIGKILL) for each in before if each["service"] != "late"])
        began = time.monotonic()
        try:
            ends.start()
            self.start_daemon()
            self.assertGreater(time.monotonic() - began, 1.5, "the shim was not waited for")
        finally:
            ends.join()
            os.kill(shim, signal.SIGCONT)
        wait_until(lambda: {(each["state"], each["exit_code"]) for each in self.containers("once")} == {("exited", 137)}, 5, "the ends")
        wait_until(lambda: {(each["state"], each["restart_count"]) for each in self.containers("again")} == {("running", 1)}, 5, "the restarts")
        for port in range(18191, 18195):
            self.assertIn("root", urllib.request.urlopen(f"http://127.0.0.1:{port}/passwd", timeout=2).read().decode())
        self.wait_for_state("late", "running")


if __name__ == "__main__":
    unittest.main()
