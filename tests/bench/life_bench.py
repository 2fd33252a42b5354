"""What a running stack costs, against dockerd with Docker Compose in the same run: commands in containers, health checks, logs that flood; and of ours
alone one look at 200 containers and an update under load."""
import contextlib
import os
import pathlib
import resource
import signal
import subprocess
import threading
import time
import urllib.request

import figures as shared
from figures import our_engine
from harness import BIN, busybox_archive, enter_own_network
from peer import Peer, make_root

EXECS = 20
CHECKED = 50
CHECK_SECONDS = 20
FLOOD = 1_000_000_000
LOOKED_AT = 200
HEALTH = f"""name: life
services:
  s: {{image: busybox, init: true, command: sleep 100000, scale: {CHECKED}, healthcheck: {{test: [CMD, 'true'], interval: 1s}}}}
"""
FLOODS = f"""name: life
services:
  s: {{image: busybox, command: [sh, -c, 'yes a line of some sixty letters that is what many a log looks like | head -c {FLOOD}'], restart: 'no'}}
"""
UPDATED = """name: life
services:
  web:
    image: busybox
    init: true
    command: sh -c 'mkdir /www && echo %d >/www/page && exec httpd -f -p 80 -h /www'
    ports: ['127.0.0.1:18290:80']
    healthcheck: {test: wget -qO- http://127.0.0.1/page, interval: 200ms}
    deploy: {update_config: {order: start-first, parallelism: 1, monitor: 1s}}
"""


def processor_seconds(engine):
    """Of the engine's processes, and of those that they have waited for."""
    ticks = 0
    for process in engine.processes():
        try:
            fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return ticks / os.sysconf("SC_CLK_TCK")


def flood(engine, into, name, row):
    """From its first line until the container has ended: the MB a second that the engine takes."""
    engine.write(FLOODS)
    began = time.perf_counter()
    engine.compose("up", "-d")
    engine.compose("wait", "s")
    into.add(row, name, (time.perf_counter() - began) * 1000)
    engine.compose("down")


def one_round(engine, name, into):
    engine.write(HEALTH)
    engine.compose("up", "-d")
    time.sleep(2)
    before = processor_seconds(engine)
    time.sleep(CHECK_SECONDS)
    into.add(f"CPU of {CHECKED} health checks a second, ms a second", name, (processor_seconds(engine) - before) * 1000 / CHECK_SECONDS)
    for _ in range(EXECS):
        into.timed("exec true, ms", name, lambda: engine.compose("exec", "-T", "s", "true"))
    engine.compose("down", "-t", "0")
    flood(engine, into, name, "a log of 1 GB, ms")


def stuck_reader(ours, into):
    """The same flood while somebody who follows the log does not read."""
    ours.write(FLOODS)
    began = time.perf_counter()
    ours.compose("up", "-d")
    reader = subprocess.Popen([BIN / "compose", "logs", "-f"], cwd=ours.project, stdout=subprocess.PIPE,
                              env={**os.environ, "COMPOSED_HOST": f"unix://{ours.run_folder}/composed.sock"})
    reader.stdout.read(1)
    reader.send_signal(signal.SIGSTOP)
    try:
        ours.compose("wait", "s")
        into.add("the same with a reader that is stuck, ms", "ours", (time.perf_counter() - began) * 1000)
    finally:
        reader.kill()
        reader.wait()
        reader.stdout.close()
    ours.compose("down")


def look_at_many(ours):
    ours.write(f"name: life\nservices:\n  s: {{image: busybox, init: true, command: sleep 100000, scale: {LOOKED_AT}}}\n")
    ours.compose("up", "-d", timeout=300)
    daemon = pathlib.Path("/proc", str(ours.daemon.pid), "stat")

    def used():
        return sum(map(int, daemon.read_text().rsplit(")", 1)[1].split()[11:13])) * 1000 / os.sysconf("SC_CLK_TCK")

    times = 10
    before, mine = used(), resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(times):
        ours.compose("stats", "--no-stream")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    client = (after.ru_utime + after.ru_stime - mine.ru_utime - mine.ru_stime) * 1000
    print(f"`stats` of {LOOKED_AT} containers: {(used() - before) / times:.1f} ms of CPU of the daemon, {client / times:.1f} ms of the client")
    ours.compose("down", "-t", "0", timeout=300)


def update_under_load(ours):
    ours.write(UPDATED % 1)
    ours.compose("up", "-d", "--wait")
    ended, answers, failed = threading.Event(), [], []

    def ask():
        while not ended.is_set():
            try:
                answers.append(urllib.request.urlopen("http://127.0.0.1:18290/page", timeout=5).read())
            except OSError as failure:
                failed.append(str(failure))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for each in askers:
        each.start()
    try:
        for version in (2, 3):
            ours.write(UPDATED % version)
            ours.compose("up", "-d")
        time.sleep(0.5)
    finally:
        ended.set()
        for each in askers:
            each.join()
    versions = ", ".join(f"{answers.count(b'%d' % v + bytes([10]))} of version {v}" for v in (1, 2, 3))
    print(f"two updates with start-first under load: {len(failed)} of {len(answers) + len(failed)} requests failed (asked: 0); {versions}")
    ours.compose("down", "-t", "0")


def main():
    make_root()
    enter_own_network()
    with our_engine() as ours:
        update_under_load(ours)
        look_at_many(ours)
        with contextlib.closing(Peer()) as peer:
            peer.load(busybox_archive())
            shared.ROUNDS = min(shared.ROUNDS, 3)  # each takes two minutes
            found = shared.in_turn({"ours": ours, "peer": peer}, one_round)
        stuck_reader(ours, found)
    found.print({row: factor for row in found.rows for word, factor in {"exec": "4", "CPU": "4", "a log": "3"}.items() if word in row})


if __name__ == "__main__":
    main()
