"""What the benchmarks share: our engine as one of those that take turns, and the table of medians and ratios."""
import contextlib
import os
import pathlib
import platform
import random
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import BIN, DaemonTest  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "7"))


class Ours(DaemonTest):
    def runTest(self):
        pass

    def processes(self):
        """Of the engine: the daemon, which is told its folders, and the shims, which work in them; not what runs in containers."""
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().decode(errors="replace")
                program, within = os.readlink(process / "exe"), os.readlink(process / "cwd")
            except OSError:
                continue
            if program.startswith(str(BIN)) and (self.folder.name in command or self.folder.name in within):
                yield process


@contextlib.contextmanager
def our_engine():
    """A daemon of ours that ends with the block."""
    ours = Ours()
    ours.setUp()
    try:
        yield ours
    finally:
        ours.doCleanups()


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


def in_turn(engines, one_round):
    """Runs the rounds, the engines in alternating order; the first round warms up and does not count."""
    figures = Figures()
    for number in range(ROUNDS + 1):
        into = Figures() if number == 0 else figures
        for name, engine in engines.items() if number % 2 else reversed(engines.items()):
            one_round(engine, name, into)
    print(f"Linux {platform.release()}, {os.cpu_count()} cores, {ROUNDS} rounds in turn; peer: {engines['peer'].title}")
    return figures
