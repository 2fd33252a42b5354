"""Images from a real registry on loopback: by its own name, and by a Docker Hub name through a mirror."""
import pathlib
import shutil
import socket
import subprocess
import tempfile
import unittest

from harness import DaemonTest, busybox_archive, wait_until


class PullTest(DaemonTest):
    def setUp(self):
        self.registry_folder = pathlib.Path(tempfile.mkdtemp(prefix="composed-registry-"))
        self.addCleanup(shutil.rmtree, self.registry_folder, True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.registry = f"127.0.0.1:{free.getsockname()[1]}"
        config = self.registry_folder / "config.yml"
        config.write_text("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: "
                          f"{self.registry_folder}/data}}}}\nhttp: {{addr: '{self.registry}'}}\n")
        server = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (server.terminate(), server.wait(10)))
        push = ["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false",
                f"docker-archive:{busybox_archive()}", f"docker://{self.registry}/library/small:1"]
        wait_until(lambda: subprocess.run(push, capture_output=True).returncode == 0, 15, "the image to be pushed")
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
