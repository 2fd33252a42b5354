"""Figures of a stack of fifty one-process services: medians over rounds, printed a line each. Compares with no peer yet."""
import pathlib
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import DaemonTest  # noqa: E402

SERVICES = 50
ROUNDS = 5


class StackBench(DaemonTest):
    def runTest(self):
        pass


def timed(call):
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def pss_of(marker):
    """KiB over all engine processes: the daemon and the shims."""
    total = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if marker not in (process / "cmdline").read_bytes().decode(errors="replace") and \
                    not (process / "comm").read_text().startswith("composed-shim"):
                continue
            total += next(int(line.split()[1]) for line in (process / "smaps_rollup").read_text().splitlines()
                          if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total


def main():
    bench = StackBench()
    bench.setUp()
    figures = {}
    try:
        bench.write("name: bench\nservices:\n" + "".join(
            f"  s{number}: {{image: busybox, init: true, command: sleep 100000}}\n" for number in range(SERVICES)))
        for _ in range(ROUNDS):
            figures.setdefault(f"up -d of {SERVICES} services", []).append(timed(lambda: bench.compose("up", "-d")))
            figures.setdefault("up -d with nothing to do", []).append(timed(lambda: bench.compose("up", "-d")))
            figures.setdefault("ps", []).append(timed(lambda: bench.compose("ps")))
            memory = pss_of(str(bench.state))
            bench.stop_daemon(signal.SIGKILL)
            figures.setdefault("killed -9 to answering again, all adopted", []).append(timed(bench.start_daemon))
            running = sum(each["state"] == "running" for each in bench.containers())
            assert running == SERVICES, running
            figures.setdefault("down", []).append(timed(lambda: bench.compose("down", "-t", "1")))
        for name, values in figures.items():
            print(f"{name:45} {statistics.median(values):8.1f} ms   ({min(values):.1f} to {max(values):.1f})")
        print(f"{'PSS of daemon and shims, all running':45} {memory / 1024:8.1f} MiB")
    finally:
        bench.doCleanups()


if __name__ == "__main__":
    main()
