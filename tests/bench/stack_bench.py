"""A stack of fifty one-process services on one network, against dockerd with Docker Compose in the same run."""
import contextlib
import signal

from figures import in_turn, our_engine
from harness import busybox_archive
from peer import Peer

SERVICES = 50
STACK = "name: bench\nservices:\n" + "".join(
    f"  s{number}: {{image: busybox, init: true, command: sleep 100000}}\n" for number in range(SERVICES))


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
    with our_engine() as ours, contextlib.closing(Peer()) as peer:
        peer.load(busybox_archive())
        engines = {"ours": ours, "peer": peer}
        for engine in engines.values():
            engine.write(STACK)
        figures = in_turn(engines, one_round)
    figures.print({"up -d of 50 services, ms": "6", "up -d again, nothing to do, ms": "4", "ps, ms": "5", "down, ms": "7",
                   "PSS of the engine's processes, 50 running, MiB": "at most 40 MiB",
                   "killed -9 to answering, all adopted, ms": "at most 300 ms"})


if __name__ == "__main__":
    main()
