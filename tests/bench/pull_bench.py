"""A pull of the postgres image (two layers, 400 MB compressed, 890 MB unpacked) from a registry on loopback, against dockerd
in the same run."""
import urllib.parse

from disk import disk_of_its_own
from figures import Ours, in_turn
from harness import CACHE, registry_of_images, wait_until
from peer import Peer

IMAGE = "postgres:15"
STACK = f"name: bench\nservices:\n  db: {{image: '{IMAGE}'}}\n"
PEER_REGISTRY = "127.0.0.1:5000"  # in its own network namespace


def remove(engine, name):
    if name == "ours":
        engine.api("/images/" + urllib.parse.quote(IMAGE, safe=""), "DELETE")
    else:
        engine.curl(f"/images/{IMAGE}", "-X", "DELETE")


def one_round(engine, name, figures):
    figures.timed(f"pull of {IMAGE}, ms", name, lambda: engine.compose("pull", "--quiet"))
    remove(engine, name)


def main():
    registry, stop = registry_of_images()
    ours, peer, peer_registry = Ours(), None, None
    ours.arguments = ("--registry-mirror", f"docker.io=http://{registry}")
    ours.setUp()
    try:
        peer = Peer(mirror=f"http://{PEER_REGISTRY}")
        config = CACHE / "peer-registry.yml"
        config.write_text(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: '{CACHE}/registry'}}}}\n"
                          f"http: {{addr: '{PEER_REGISTRY}'}}\n")
        peer_registry = peer.inside("docker-registry", "serve", str(config))
        wait_until(lambda: peer.inside("curl", "-sf", f"http://{PEER_REGISTRY}/v2/").wait() == 0, 15, "the peer's registry to answer")
        engines = {"ours": ours, "peer": peer}
        for engine in engines.values():
            engine.write(STACK)
        in_turn(engines, one_round).print({f"pull of {IMAGE}, ms": "3"})
    finally:
        if peer_registry is not None:
            peer_registry.terminate()
            peer_registry.wait()
        if peer is not None:
            peer.close()
        ours.doCleanups()
        stop()


if __name__ == "__main__":
    with disk_of_its_own():
        main()
