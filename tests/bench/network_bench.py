"""Networks, against dockerd with Docker Compose in the same run: names, published ports, making and removing; and what a thousand starts and
stops leave behind. Each engine has a network namespace of its own, and a second one beside it as another machine.

The rows in brackets are what no engine can go below: a bare echo inside the container in the place of the resolver, and a
server on the engine's host in the place of the container behind a published port."""
import contextlib
import io
import json
import os
import pathlib
import subprocess
import tarfile
import time

from figures import in_turn, our_engine
from harness import BIN, enter_own_network, wait_until
from made_image import image
from peer import SUITE, Peer, make_root

LOOKUPS = 20000
CONNECTIONS = 4000
STREAM_SECONDS = 1
NETWORKS = 20
HOST_PORT = "18282"
SIDE = "198.18.0"  # .1 the engine's host, .2 the other machine
STACK = """
name: traffic
services:
  web: {image: 'traffic:1', init: true, command: /traffic serve 80, ports: ['127.0.0.1:18280:80', '198.18.0.1:18281:80'], networks: [lan]}
  names: {image: 'traffic:1', init: true, command: /traffic answer, networks: {lan: {ipv4_address: 172.29.77.53}}}
  asks: {image: 'traffic:1', init: true, command: sleep 100000, networks: [lan], dns: [172.29.77.53]}
networks: {lan: {ipam: {config: [{subnet: 172.29.77.0/24}]}}}
"""
MANY = "name: many\nservices:\n  one: {image: 'traffic:1', scale: 0, networks: [%s]}\nnetworks: {%s}\n" % (
    ", ".join(f"n{number}" for number in range(NETWORKS)), ", ".join(f"n{number}: {{}}" for number in range(NETWORKS)))
CYCLES = "name: cycles\nservices:\n" + "".join(
    f"  s{number}: {{image: 'traffic:1', init: true, command: sleep 100000, ports: ['127.0.0.1::80'], volumes: ['v:/v']}}\n"
    for number in range(8)) + "volumes: {v: }\n"


def layer_of_traffic():
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(BIN / "traffic", "traffic")
    return layer.getvalue()


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Machine:
    """Another machine on the wire of the network namespace that process `pid` is in."""

    def __init__(self, pid, name):
        self.name, self.engine = name, ["nsenter", "-t", str(pid), "-n"]
        run("ip", "netns", "add", name)
        run(*self.engine, "ip", "link", "add", "side0", "type", "veth", "peer", "name", "eth0", "netns", name)
        run(*self.engine, "ip", "address", "add", f"{SIDE}.1/24", "dev", "side0")
        run(*self.engine, "ip", "link", "set", "side0", "up")
        run("ip", "-n", name, "address", "add", f"{SIDE}.2/24", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")

    def near(self, *arguments):
        """What `traffic` prints on the engine's host."""
        return run(*self.engine, BIN / "traffic", *arguments)

    def far(self, *arguments):
        return run("ip", "netns", "exec", self.name, BIN / "traffic", *arguments)

    def serve(self, port):
        """A server on the engine's host, until the other machine goes."""
        self.server = subprocess.Popen([*self.engine, BIN / "traffic", "serve", port])

    def close(self):
        self.server.kill()
        self.server.wait()
        subprocess.run(["ip", "netns", "del", self.name], check=False)


def one_round(engine, name, figures):
    machine = engine.machine
    for what, asked in ("a service", "web"), ("an outside name", "example.org"):
        rate, worst = engine.compose("exec", "-T", "asks", "/traffic", "lookup", "127.0.0.11", asked, str(LOOKUPS)).stdout.split()
        figures.add(f"time of 1000 lookups of {what}, ms", name, 1e6 / float(rate))
        figures.add(f"p99 of a lookup of {what}, µs", name, float(worst))
    rate, worst = engine.compose("exec", "-T", "names", "/traffic", "lookup", "127.0.0.1", "echo", str(LOOKUPS)).stdout.split()
    figures.add("(1000 echoes in the container, ms)", name, 1e6 / float(rate))
    figures.add("(p99 of such an echo, µs)", name, float(worst))
    figures.add("(1000 connections from another machine to the host, ms)", name,
                1e6 / float(machine.far("connect", f"{SIDE}.1", HOST_PORT, str(CONNECTIONS))))
    for where, call, address in (("127.0.0.1", machine.near, ("127.0.0.1", "18280")),
                                 ("another machine", machine.far, (f"{SIDE}.1", "18281"))):
        figures.add(f"time of 1000 connections from {where}, ms", name, 1e6 / float(call("connect", *address, str(CONNECTIONS))))
        figures.add(f"time of a GB from {where}, ms", name, 1e6 / float(call("stream", *address, str(STREAM_SECONDS))))
    engine.write(MANY)
    figures.timed(f"up and down of {NETWORKS} networks, ms", name, lambda: (engine.compose("up", "-d"), engine.compose("down")))
    engine.write(STACK)
    # The kernel clears links away when nobody waits any more, 40 ms each: the next round is not to pay for that.
    time.sleep(0.05 * NETWORKS)


def count(ours):
    """What our engine holds of the machine."""
    daemon = pathlib.Path("/proc", str(ours.daemon.pid))
    rules = json.loads(run("nft", "-j", "list", "ruleset"))["nftables"]
    status = (daemon / "status").read_text()
    namespaces = set()
    for each in pathlib.Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError):  # its process has just ended
            namespaces.add(os.readlink(each))
    return {"mounts": len(pathlib.Path("/proc/self/mounts").read_text().splitlines()),
            "links": len(json.loads(run("ip", "-j", "link"))),
            "network namespaces": len(namespaces),
            "nftables elements": sum(len(each[kind].get("elem", [])) for each in rules for kind in ("set", "map") if kind in each),
            "addresses": sum(len(each["networks"]) for each in ours.api("/containers")),
            "cgroups": sum(1 for _ in pathlib.Path("/sys/fs/cgroup").glob(f"*/{ours.instance}/*/")),
            "descriptors": len(list((daemon / "fd").iterdir())),
            "RSS, KiB": int(status.split("VmRSS:")[1].split()[0])}


def cycles(ours):
    """A thousand starts and stops, eight at a time."""
    ours.write(CYCLES)

    def turn(times):
        for _ in range(times):
            ours.compose("stop", "-t", "0")
            ours.compose("start")

    ours.compose("up", "-d")
    turn(25)  # what is cached is there
    before = count(ours)
    turn(125)
    wait_until(lambda: count(ours)["links"] == before["links"], 10, "the kernel to clear links away")
    after = count(ours)
    print("1000 starts and stops, eight at a time; left over (asked: 0, and RSS at most 2048 KiB):")
    for what, number in after.items():
        print(f"    {what:20} {number - before[what]:+d}")
    ours.compose("down", "-v", "-t", "0")


def compare(ours, peer):
    with image("traffic", layer_of_traffic()) as archive:
        ours.compose("load", "-i", str(archive))
        peer.load(archive)
    engines = {"ours": ours, "peer": peer}
    for (name, engine), pid in zip(engines.items(), (os.getpid(), peer.daemon.pid)):
        engine.machine = Machine(pid, f"bench{os.getpid()}{name}")
        engine.machine.serve(HOST_PORT)
        engine.write(STACK)
        engine.compose("up", "-d")
    try:
        figures = in_turn(engines, one_round)
    finally:
        for engine in engines.values():
            engine.write(STACK)
            engine.compose("down", "-t", "0")
            engine.machine.close()
    asked = {"lookups": "3", "p99": "3", "connections": "2", "a GB": "1", "networks": "3"}
    figures.print({row: factor for row in figures.rows for word, factor in asked.items()
                   if word in row and not row.startswith("(")})


def main():
    make_root(SUITE), make_root()  # while there is a way to Debian's packages
    enter_own_network()
    with our_engine() as ours:
        with contextlib.closing(Peer()) as peer:
            compare(ours, peer)
        cycles(ours)


if __name__ == "__main__":
    main()
