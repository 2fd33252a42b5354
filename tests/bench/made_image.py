"""Images for benchmarks: busybox with a layer more."""
import contextlib
import hashlib
import io
import json
import pathlib
import tarfile

from harness import CACHE, busybox_archive


@contextlib.contextmanager
def image(name, layer):
    """A docker-archive of NAME:1, busybox with `layer` (a tar as bytes) on top, for as long as the context lasts."""
    archive = pathlib.Path(CACHE) / f"{name}.tar"
    with tarfile.open(busybox_archive()) as busybox, tarfile.open(archive, "w") as made:
        config = json.load(busybox.extractfile("config.json"))
        config["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256(layer).hexdigest())
        manifest = [{"Config": "config.json", "RepoTags": [f"{name}:1"], "Layers": ["layer.tar", "more.tar"]}]
        for entry_name, content in (("manifest.json", json.dumps(manifest).encode()), ("config.json", json.dumps(config).encode()),
                                    ("layer.tar", busybox.extractfile("layer.tar").read()), ("more.tar", layer)):
            entry = tarfile.TarInfo(entry_name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    try:
        yield archive
    finally:
        archive.unlink()
