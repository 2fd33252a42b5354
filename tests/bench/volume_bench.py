"""Copy-up: an empty volume is filled with the 10,000 files that the image has there, against dockerd in the same run; beside it the
same without a volume, so that the difference is the copy."""
import contextlib
import io
import tarfile

from disk import disk_of_its_own
from figures import in_turn, our_engine
from made_image import image
from peer import Peer

FILES = 10_000
SERVICE = "  s: {image: 'files:1', init: true, command: sleep 100000%s}\n"
PLAIN = "name: plain\nservices:\n" + SERVICE % ""
FILLED = "name: filled\nservices:\n" + SERVICE % ", volumes: ['files:/data']" + "volumes: {files: }\n"


def layer_of_files():
    """10,000 files of 1 to 8 KiB in a hundred folders."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for number in range(FILES):
            if number % 100 == 0:
                folder = tarfile.TarInfo(f"data/{number // 100}")
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(folder)
            entry = tarfile.TarInfo(f"data/{number // 100}/{number}")
            entry.size = 1024 * (1 + number % 8)
            tar.addfile(entry, io.BytesIO(bytes([number % 251]) * entry.size))
    return layer.getvalue()


def one_round(engine, name, figures):
    for text, what in (PLAIN, "without a volume"), (FILLED, f"that fills a volume with {FILES:,} files"):
        engine.write(text)
        figures.timed(f"up -d {what}, ms", name, lambda: engine.compose("up", "-d"))
        engine.compose("down", "-v", "-t", "0")


def main():
    with our_engine() as ours, contextlib.closing(Peer()) as peer:
        with image("files", layer_of_files()) as archive:
            ours.compose("load", "-i", str(archive))
            peer.load(archive)
        in_turn({"ours": ours, "peer": peer}, one_round).print({})


if __name__ == "__main__":
    with disk_of_its_own():
        main()
