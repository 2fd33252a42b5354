"""The end of the daemon with and without the host's, and what systemd gives and hears."""
import os
import queue
import signal
import socket
import subprocess
import threading
import time
import unittest

from harness import BIN, DaemonTest, wait_until

# Tells of its end in /log/order, and ends well.
TELLS = "['sh', '-c', 'trap \"sleep {pause}; echo $0 >>/log/order; exit 0\" TERM; while :; do sleep 0.05; done', '{name}']"
DEAF = "['sh', '-c', 'trap \"\" TERM; while :; do sleep 0.05; done']"


class ShutdownTest(DaemonTest):
    arguments = ("--no-live-restore", "--shutdown-timeout", "4s")

    def service(self, name, pause=0, more=""):
        return (f"  {name}: {{image: busybox, command: {TELLS.format(name=name, pause=pause)}, "
                f"volumes: ['{self.folder}:/log'], {more}}}\n")

    def go_down(self):
        start = time.monotonic()
        self.stop_daemon()
        left = [command for _, command in self.processes() if "bin/compose " not in command]  # who looks on waits for the next daemon
        self.assertEqual(left, [])
        return time.monotonic() - start

    def test_stacks_end_in_order_and_come_back_by_their_policies(self):
        policies = {"never": '"no"', "failing": "on-failure", "always": "always", "unless": "unless-stopped", "by-hand": "unless-stopped"}
        self.write("name: b\nservices:\n" + self.service("web", 0.3, "depends_on: [api], restart: always")
                   + self.service("api", 0.3, "depends_on: [db], restart: always") + self.service("db", 0, "restart: always")
                   + "".join(self.service(name, 0, f"restart: {policy}") for name, policy in policies.items()))
        self.compose("up", "-d")
        self.compose("stop", "by-hand")
        (self.folder / "order").unlink()
        self.go_down()
        order = (self.folder / "order").read_text().split()
        self.assertEqual([each for each in order if each in ("web", "api", "db")], ["web", "api", "db"])
        self.assertEqual(len(order), 7)
        self.start_daemon()
        for service in "web", "api", "db", "failing", "always", "unless":
            self.wait_for_state(service, "running")
        self.assertEqual(self.container("never")["state"], "exited")
        self.assertEqual(self.container("never")["exit_code"], 0)
        self.assertEqual(self.container("by-hand")["state"], "exited")

    def test_all_of_it_is_within_the_time_there_is(self):
        self.write("name: b\nservices:\n" + "".join(
            f"  {name}: {{image: busybox, command: {DEAF}, stop_grace_period: 1m, depends_on: [{before}]}}\n"
            for name, before in (("web", "db"), ("other", "db"))) + self.service("db", 1, "stop_grace_period: 1m"))
        self.compose("up", "-d")
        took = self.go_down()
        self.assertLess(took, 5.5)
        self.assertGreater(took, 1.9)
        self.assertEqual((self.folder / "order").read_text().split(), ["db"], "the database had its share of the time")

    def test_an_up_that_was_under_way_is_carried_on(self):
        ready = self.folder / "ready"
        self.write("name: b\nservices:\n" + self.service("db", 0, "healthcheck: {test: test -f /log/ready, interval: 100ms}")
                   + self.service("web", 0, "depends_on: {db: {condition: service_healthy}}"))
        codes = []
        waiting = threading.Thread(target=lambda: codes.append(self.compose("up", "-d", check=False).returncode))
        waiting.start()
        self.wait_for_state("db", "running")
        self.go_down()
        ready.write_text("")
        self.start_daemon()
        self.wait_for_state("web", "running")
        waiting.join()
        self.assertEqual(codes, [0])
        self.assertEqual(self.container("db")["state"], "running")

    def test_who_asks_twice_is_in_a_hurry_and_nothing_is_lost(self):
        self.write(f"name: b\nservices:\n  deaf: {{image: busybox, command: {DEAF}, restart: always}}\n")
        self.compose("up", "-d")
        pid = self.container("deaf")["pid"]
        self.daemon.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        start = time.monotonic()
        self.stop_daemon()
        self.assertLess(time.monotonic() - start, 1)
        self.start_daemon()
        self.assertEqual(self.wait_for_state("deaf", "running")["pid"], pid)


class SystemdTest(DaemonTest):
    def start_daemon(self):
        """As systemd does it: with a socket, a place for notices, and a watchdog of 200 ms."""
        self.run_folder.mkdir(exist_ok=True)
        path = self.run_folder / "composed.sock"
        if not hasattr(self, "listening"):
            self.listening = socket.socket(socket.AF_UNIX)
            self.listening.bind(str(path))
            self.listening.listen(128)
            self.addCleanup(self.listening.close)
            self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.notices.bind(str(self.folder / "notify"))
            self.told = queue.Queue()
            threading.Thread(target=self.hear_all, daemon=True).start()
            self.addCleanup(self.notices.close)
            self.addCleanup(self.notices.shutdown, socket.SHUT_RDWR)
        self.log = open(self.folder / "log", "a")
        self.daemon = subprocess.Popen(
            ["sh", "-c", 'export LISTEN_PID=$$ WATCHDOG_PID=$$; exec "$@" 3<&"$SOCKET"', "sh", BIN / "composed", "--instance", self.instance,
             "--state", self.state, "--run", self.run_folder, "--config", "/dev/null"], pass_fds=[self.listening.fileno()],
            stderr=self.log, stdout=self.log, env={**os.environ, "LISTEN_FDS": "1", "WATCHDOG_USEC": "200000",
                                                   "NOTIFY_SOCKET": str(self.folder / "notify"), "SOCKET": str(self.listening.fileno())})
        wait_until(self.answers, 10, "the daemon to answer")

    def hear_all(self):
        """All the time, as systemd does: the socket holds ten."""
        while notice := self.notices.recv(4096).decode():
            self.told.put(notice)

    def heard(self, notice):
        while self.told.get(timeout=5) != notice:
            pass

    def test_a_service_manager_that_is_stuck_holds_nobody_up(self):
        self.notices.shutdown(socket.SHUT_RDWR)  # nobody reads any more
        stuck = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(stuck.close)
        (self.folder / "notify").unlink()
        stuck.bind(str(self.folder / "notify"))
        time.sleep(2.5)  # 25 notices, of which the socket holds ten
        self.compose("ls")

    def test_clients_wait_while_the_daemon_is_replaced(self):
        self.heard("READY=1")
        self.write("name: b\nservices:\n  a: {image: busybox, init: true, command: sleep 1000}\n")
        self.compose("up", "-d")
        pid = self.container("a")["pid"]
        self.stop_daemon()
        self.heard("STOPPING=1")
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(self.compose("ps", "-q").stdout))
        waiting.start()
        time.sleep(0.3)
        self.assertTrue(waiting.is_alive(), "turned away")
        self.start_daemon()
        waiting.join(5)
        self.assertEqual(len(answers[0].split()), 1)
        self.assertEqual(self.container("a")["pid"], pid)

    def test_the_watchdog_hears_as_often_as_it_wants(self):
        self.heard("READY=1")
        start = time.monotonic()
        for _ in range(10):
            self.heard("WATCHDOG=1")
        self.assertLess(time.monotonic() - start, 10 * 0.2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
