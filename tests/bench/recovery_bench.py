"""What an interruption costs: a daemon that starts over 200 running containers, a container that dies, traffic meanwhile."""
import os
import signal
import statistics
import subprocess
import threading
import time
import unittest
import urllib.request

from figures import Ours
from harness import BIN

CONTAINERS = 200
ROUNDS = int(os.environ.get("ROUNDS", "7"))


def line(what, values, asked):
    print(f"{what:70}{statistics.median(values):8.1f} ±{(max(values) - min(values)) / 2:.1f}   asked: {asked}")


class RecoveryBench(Ours):
    runTest = None

    def test_200_containers_are_adopted(self):
        self.write(f"name: many\nservices:\n  s: {{image: busybox, init: true, command: sleep 100000, scale: {CONTAINERS}}}\n")
        self.compose("up", "-d", timeout=300)
        before = {each["id"]: each["pid"] for each in self.containers()}
        took = []
        for _ in range(ROUNDS):
            self.stop_daemon(signal.SIGKILL)
            start = time.perf_counter()
            self.start_daemon()
            took.append((time.perf_counter() - start) * 1000)
            self.assertEqual({each["id"]: each["pid"] for each in self.containers()}, before)
        line(f"daemon killed -9 to answering, {CONTAINERS} containers adopted, ms", took, "at most 300")
        self.compose("down", "-t", "0", timeout=300)

    def test_a_death_and_its_successor(self):
        times = self.folder / "times"
        times.mkdir()
        self.write(f"""name: death
services:
  s: {{image: busybox, command: 'sh -c "echo >>/times/starts; exec sleep 100000"', restart: always, volumes: ['{times}:/times']}}
""")
        self.compose("up", "-d")
        starts = times / "starts"
        took = []
        for _ in range(ROUNDS):
            self.compose("restart", "-t", "0")  # by hand: the delays begin anew
            pid, size = self.container("s")["pid"], starts.stat().st_size
            os.kill(pid, signal.SIGKILL)
            start = time.perf_counter()
            while starts.stat().st_size == size:
                time.sleep(0.0005)
            took.append((time.perf_counter() - start) * 1000)
        line("a container's death to its successor's first instruction, ms", took, "at most 130, 100 of them the first delay")

    def test_traffic_while_the_daemon_starts_anew(self):
        self.write("""name: traffic
services:
  web: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, ports: ['127.0.0.1:18174:80']}
  client: {image: busybox, init: true, command: sleep 100000}
""")
        self.compose("up", "-d")
        ended = threading.Event()
        counts = {"requests": [0, 0], "DNS queries": [0, 0]}

        def requests():
            while not ended.is_set():
                counts["requests"][0] += 1
                try:
                    urllib.request.urlopen("http://127.0.0.1:18174/passwd", timeout=2).read()
                except OSError:
                    counts["requests"][1] += 1

        pid = self.container("client")["pid"]
        asker = subprocess.Popen(["nsenter", "-t", str(pid), "-n", "-m", "sh", "-c",
                                  "while :; do nslookup web 127.0.0.11 >/dev/null 2>&1 && echo y || echo n; done"],
                                 stdout=subprocess.PIPE, text=True)
        thread = threading.Thread(target=requests)
        thread.start()
        for _ in range(ROUNDS):
            time.sleep(0.2)
            self.stop_daemon(signal.SIGKILL)
            self.start_daemon()
        time.sleep(0.5)
        ended.set()
        thread.join()
        asker.kill()
        answers = asker.communicate()[0].split()
        counts["DNS queries"] = [len(answers), answers.count("n")]
        for what, (made, lost) in counts.items():
            print(f"{what} while the daemon was killed -9 and started {ROUNDS} times: {made}, lost {lost}   asked: 0 lost")
            self.assertEqual(lost, 0, what)


if __name__ == "__main__":
    print(subprocess.run([BIN / "plan_bench"], text=True, capture_output=True, check=True).stdout, end="", flush=True)
    unittest.main(verbosity=0)
