"""Images from a real registry on loopback: by its own name, and by a Docker Hub name through a mirror."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from harness import DaemonTest, busybox_archive, serve_registry


class PullTest(DaemonTest):
    def setUp(self):
        self.registry_folder = pathlib.Path(tempfile.mkdtemp(prefix="composed-registry-"))
        self.addCleanup(shutil.rmtree, self.registry_folder, True)
        self.registry, stop = serve_registry(self.registry_folder / "data", self.registry_folder)
        self.addCleanup(stop)
        push = ["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false",
                f"docker-archive:{busybox_archive()}", f"docker://{self.registry}/library/small:1"]
        subprocess.run(push, check=True)
        self.arguments = ("--registry-mirror", f"docker.io=http://{self.registry}")
        super().setUp()

    def stack(self, image):
        self.write(f"name: pull\nservices:\n  s: {{image: '{image}', init: true, command: sleep 1000}}\n")

    def test_up_pulls_what_is_missing_by_the_registrys_name(self):
        self.stack(f"{self.registry}/library/small:1")
        up = self.compose("up", "-d")
        self.assertIn("Pulled", up.stderr)
        self.assertEqual(self.container("s")["state"], "running")
        self.assertNotIn("Pulling", self.compose("up", "-d").stderr)

    def test_a_docker_hub_name_comes_from_the_mirror(self):
        self.stack("small:1")
        self.compose("pull")
        self.compose("up", "-d")
        self.assertEqual(self.container("s")["image"], "small:1")
        self.assertEqual(self.compose("exec", "-T", "s", "echo", "there").stdout, "there\n")

    def test_an_image_that_is_nowhere_is_named(self):
        self.stack(f"{self.registry}/library/none:1")
        up = self.compose("up", "-d", check=False)
        self.assertEqual(up.returncode, 1)
        self.assertIn("library/none", up.stderr)
        self.assertEqual(self.containers(), [])


if __name__ == "__main__":
    unittest.main()
