"""A stack of fifty one-process services on one network, against dockerd with Docker Compose in the same run: the engines take
turns in rounds, and each line has both medians and their ratio with its 95 % interval (bootstrap)."""
import os
import pathlib
import platform
import random
import signal
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from peer import Peer  # noqa: E402
from harness import DaemonTest, busybox_archive  # noqa: E402

SERVICES = 50
ROUNDS = int(os.environ.get("ROUNDS", "7"))
STACK = "name: bench\nservices:\n" + "".join(
    f"  s{number}: {{image: busybox, init: true, command: sleep 100000}}\n" for number in range(SERVICES))


class Ours(DaemonTest):
    def runTest(self):
        pass

    def processes(self):
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if self.folder.name in (process / "cmdline").read_bytes().decode(errors="replace"):
                    yield process
            except OSError:
                continue


class Figures:
    """Of one kind of work: milliseconds (or MiB) of each engine in each round."""

    def __init__(self):
        self.rows = {}

    def add(self, row, engine, value):
        self.rows.setdefault(row, {}).setdefault(engine, []).append(value)

    def timed(self, row, engine, call):
        began = time.perf_counter()
        call()
        self.add(row, engine, (time.perf_counter() - began) * 1000)

    def print(self, asked):
        print(f"{'':46}{'ours':>20}{'peer':>20}   peer is … times ours")
        for row, engines in self.rows.items():
            ours, peer = engines.get("ours", []), engines.get("peer", [])
            line = f"{row:46}{spread(ours):>20}{spread(peer):>20}"
            if ours and peer:
                low, high = interval(ours, peer)
                line += f"   {statistics.median(peer) / statistics.median(ours):5.1f}  ({low:.1f} to {high:.1f})"
            print(line + f"   asked: {asked[row]}" if row in asked else line)


def spread(values):
    if not values:
        return "-"
    return f"{statistics.median(values):.1f} ±{(max(values) - min(values)) / 2:.1f}"


def interval(ours, peer, draws=2000):
    chance = random.Random(1)
    ratios = sorted(statistics.median(chance.choices(peer, k=len(peer))) / statistics.median(chance.choices(ours, k=len(ours)))
                    for _ in range(draws))
    return ratios[draws // 40], ratios[-draws // 40]


def pss(processes):
    """MiB over the processes."""
    total = 0
    for process in processes:
        try:
            total += next(int(line.split()[1]) for line in (process / "smaps_rollup").read_text().splitlines()
                          if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total / 1024


def one_round(engine, name, figures):
    figures.timed("up -d of 50 services, ms", name, lambda: engine.compose("up", "-d"))
    figures.timed("up -d again, nothing to do, ms", name, lambda: engine.compose("up", "-d"))
    figures.timed("ps, ms", name, lambda: engine.compose("ps"))
    figures.add("PSS of the engine's processes, 50 running, MiB", name, pss(engine.processes()))
    if name == "ours":
        before = {each["id"]: each["pid"] for each in engine.containers()}
        engine.stop_daemon(signal.SIGKILL)
        figures.timed("killed -9 to answering, all adopted, ms", name, engine.start_daemon)
        assert {each["id"]: each["pid"] for each in engine.containers()} == before
    figures.timed("down, ms", name, lambda: engine.compose("down"))


def main():
    ours, peer, figures = Ours(), None, Figures()
    ours.setUp()
    try:
        peer = Peer()
        peer.load(busybox_archive())
        engines = [("ours", ours), ("peer", peer)]
        for _, engine in engines:
            engine.write(STACK)
        for number in range(ROUNDS + 1):
            into = Figures() if number == 0 else figures  # the first warms up
            for name, engine in engines if number % 2 else reversed(engines):
                one_round(engine, name, into)
        print(f"Linux {platform.release()}, {os.cpu_count()} cores, {ROUNDS} rounds in turn; peer: {peer.title}")
        figures.print({"up -d of 50 services, ms": "6", "up -d again, nothing to do, ms": "4", "ps, ms": "5", "down, ms": "7",
                       "PSS of the engine's processes, 50 running, MiB": "at most 40 MiB",
                       "killed -9 to answering, all adopted, ms": "at most 300 ms"})
    finally:
        if peer is not None:
            peer.close()
        ours.doCleanups()


if __name__ == "__main__":
    main()
