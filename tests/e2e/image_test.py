"""Images as they come: layers that are there twice, and machines that they are not for."""
import hashlib
import io
import json
import tarfile
import unittest

from harness import DaemonTest, busybox_archive


def add(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def archive_of(layers, name, architecture="amd64", config=None):
    """A docker-archive of uncompressed layers."""
    config = json.dumps({"architecture": architecture, "os": "linux", "config": config or {},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(each).hexdigest() for each in layers]}}).encode()
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        add(archive, "config.json", config)
        for number, layer in enumerate(layers):
            add(archive, f"{number}.tar", layer)
        add(archive, "manifest.json", json.dumps([{"Config": "config.json", "RepoTags": [name],
                                                   "Layers": [f"{number}.tar" for number in range(len(layers))]}]).encode())
    return whole.getvalue()


def layer_of(**files):
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        for name, content in files.items():
            add(archive, name, content.encode())
    return layer.getvalue()


def busybox_layer():
    with tarfile.open(busybox_archive()) as archive:
        [manifest] = json.load(archive.extractfile("manifest.json"))
        return archive.extractfile(manifest["Layers"][0]).read()


class ImageTest(DaemonTest):
    def load(self, *what, **more):
        file = self.folder / "image.tar"
        file.write_bytes(archive_of(*what, **more))
        self.compose("load", "-i", str(file))

    def test_a_layer_that_is_there_twice(self):
        # As every Dockerfile with two steps that change nothing makes them.
        nothing, one, two = layer_of(), layer_of(f="one"), layer_of(f="two")
        self.load([busybox_layer(), nothing, one, nothing, two, one, nothing], "twice:1")
        self.write("name: i\nservices: {a: {image: 'twice:1', init: true, command: sleep 1000}}\n")
        self.compose("up", "-d")
        self.assertEqual(self.compose("exec", "-T", "a", "cat", "/f").stdout, "one")

    def test_as_many_layers_as_can_be_mounted(self):
        many = [layer_of(**{f"f{number}": "x"}) for number in range(494)]
        self.load([busybox_layer(), *many], "many:1")
        self.write("name: i\nservices: {a: {image: 'many:1', init: true, command: sleep 1000, volumes: [{type: image, source: 'many:1', target: /m}]}}\n")
        self.compose("up", "-d")
        self.assertEqual(self.compose("exec", "-T", "a", "sh", "-c", "ls / /m | grep -c ^f").stdout, "988\n")
        self.compose("stop", "-t", "0")
        self.compose("cp", "a:/f493", ".")
        (self.folder / "image.tar").write_bytes(archive_of([busybox_layer(), *many, layer_of(one="more")], "many:2"))
        refused = self.compose("load", "-i", str(self.folder / "image.tar"), check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("496 layers are more than the 495", refused.stderr)

    def test_a_number_that_is_none_is_named(self):
        (self.folder / "image.tar").write_bytes(archive_of([busybox_layer()], "odd:1", config={"Healthcheck": {"Test": ["CMD", "true"], "Interval": 1.5}}))
        refused = self.compose("load", "-i", str(self.folder / "image.tar"), check=False)
        self.assertEqual((refused.returncode, refused.stderr), (1, "image configuration: Interval: 1.5E0 is no number that it can be\n"))

    def test_an_image_for_another_machine_is_not_taken_for_the_one_asked_for(self):
        self.load([busybox_layer()], "other:1")
        self.write("name: i\nservices: {a: {image: 'other:1', platform: linux/s390x, pull_policy: never, command: 'true'}}\n")
        done = self.compose("up", "-d", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn('"other:1"', done.stderr)
        self.write("name: i\nservices: {a: {image: 'other:1', platform: linux/amd64, command: 'true'}}\n")
        self.compose("up", "-d")

    def test_pull_passes_over_what_is_never_to_be_pulled(self):
        self.write("name: i\nservices: {a: {image: 'nowhere.invalid/x', pull_policy: never}}\n")
        self.assertIn("Skipped", self.compose("pull").stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
