"""Images from a real registry on loopback: by its own name, and by a Docker Hub name through a mirror."""
import io
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest

from harness import DaemonTest, busybox_archive, serve_registry, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
from made_image import image  # noqa: E402


class PullTest(DaemonTest):
    def setUp(self):
        self.registry_folder = pathlib.Path(tempfile.mkdtemp(prefix="composed-registry-"))
        self.addCleanup(shutil.rmtree, self.registry_folder, True)
        self.registry, stop = serve_registry(self.registry_folder / "data", self.registry_folder)
        self.addCleanup(stop)
        self.push(busybox_archive())
        self.arguments = ("--registry-mirror", f"docker.io=http://{self.registry}")
        super().setUp()

    def push(self, archive):
        subprocess.run(["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false",
                        f"docker-archive:{archive}", f"docker://{self.registry}/library/small:1"], check=True)

    def push_another(self):
        """Another image of that name."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("newer"))
        with image("newer", layer.getvalue()) as archive:
            self.push(archive)

    def stack(self, image, more=""):
        self.write(f"name: pull\nservices:\n  s: {{image: '{image}', init: true, command: sleep 1000{more}}}\n")

    def test_the_policy_says_when_an_image_that_is_here_is_pulled_again(self):
        self.stack("small:1")
        self.compose("up", "-d")
        first = self.container("s")["id"]
        self.push_another()
        for policy in "missing", "daily", "weekly", "every_12h", "never", "if_not_present":
            self.stack("small:1", f", pull_policy: {policy}")
            self.assertNotIn("Pull", self.compose("up", "-d").stderr, policy)
        self.assertEqual(self.container("s")["id"], first)
        self.stack("small:1", ", pull_policy: every_1s")
        time.sleep(1.1)
        self.assertIn("Pulled", self.compose("up", "-d", "-t", "0").stderr)
        second = self.container("s")["id"]
        self.assertNotEqual(second, first)
        self.compose("exec", "-T", "s", "test", "-e", "/newer")
        self.stack("small:1", ", pull_policy: always")
        self.assertIn("Pulled", self.compose("up", "-d", "-t", "0").stderr)
        self.assertEqual(self.container("s")["id"], second, "the same image came again")
        self.stop_daemon()
        self.start_daemon()
        self.stack("small:1", ", pull_policy: daily")
        self.assertNotIn("Pull", self.compose("up", "-d").stderr, "the daemon remembers when it came")

    def test_up_pulls_what_is_missing_by_the_registrys_name(self):
        self.stack(f"{self.registry}/library/small:1")
        up = self.compose("up", "-d")
        self.assertIn("Pulled", up.stderr)
        self.assertEqual(self.container("s")["state"], "running")
        self.assertNotIn("Pulling", self.compose("up", "-d").stderr)

    def test_a_down_does_not_wait_for_a_registry_that_takes_its_time(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes the question, and that is all
            self.stack(f"127.0.0.1:{silent.getsockname()[1]}/library/small:1")
            results = []
            waiting = threading.Thread(target=lambda: results.append(self.compose("up", "-d", check=False)))
            waiting.start()
            wait_until(lambda: "Pulling" in (self.folder / "log").read_text(), 5, "the pull to begin")
            start = time.monotonic()
            self.assertNotIn("Error", self.compose("down").stderr)
            self.assertLess(time.monotonic() - start, 2)
            waiting.join(5)
            self.assertEqual(results[0].returncode, 1)
            self.assertIn("has given way to a later `down`", results[0].stderr)
            self.assertEqual(self.api("/projects"), [])

    def test_a_docker_hub_name_comes_from_the_mirror(self):
        self.stack("small:1")
        self.compose("pull")
        self.compose("up", "-d")
        self.assertEqual(self.container("s")["image"], "small:1")
        self.assertEqual(self.compose("exec", "-T", "s", "echo", "there").stdout, "there\n")

    def test_config_pins_images_to_what_the_registry_has_now(self):
        self.write("name: pull\nservices:\n  a: {image: small:1, command: 'true'}\n  b: {image: 'small@sha256:%s'}\n" % ("0" * 64))
        whole = json.loads(self.compose("config", "--resolve-image-digests", "--format", "json").stdout)
        self.assertRegex(whole["services"]["a"]["image"], "^docker.io/library/small:1@sha256:[0-9a-f]{64}$")
        self.assertEqual(whole["services"]["b"]["image"], "docker.io/library/small@sha256:" + "0" * 64)
        self.assertEqual(whole["services"]["a"]["command"], ["true"])
        locked = self.compose("config", "--lock-image-digests").stdout
        self.assertEqual(locked, "services:\n" + "".join(f"  {name}:\n    image: {whole['services'][name]['image']}\n" for name in "ab"))
        (self.project / "lock.yaml").write_text(locked)
        both = self.compose("-f", "compose.yaml", "-f", "lock.yaml", "config", "--images").stdout.splitlines()
        self.assertEqual(both, [whole["services"][name]["image"] for name in "ab"])
        self.stack("no-such-image:1")
        self.assertIn("no-such-image", self.compose("config", "--resolve-image-digests", check=False).stderr)

    def test_an_image_that_is_nowhere_is_named(self):
        self.stack(f"{self.registry}/library/none:1")
        up = self.compose("up", "-d", check=False)
        self.assertEqual(up.returncode, 1)
        self.assertIn("library/none", up.stderr)
        self.assertEqual(self.containers(), [])


class SecureRegistryTest(DaemonTest):
    """HTTPS with a certificate that is verified: by the name or address, and up to an authority that the host trusts."""

    def setUp(self):
        self.registry_folder = pathlib.Path(tempfile.mkdtemp(prefix="composed-registry-"))
        self.addCleanup(shutil.rmtree, self.registry_folder, True)
        self.certificate, key = self.registry_folder / "tls.crt", self.registry_folder / "tls.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=registry.test", "-addext", "subjectAltName=DNS:registry.test", "-keyout", key,
                        "-out", self.certificate], check=True, capture_output=True)
        address, stop = serve_registry(self.registry_folder / "data", self.registry_folder, (self.certificate, key))
        self.addCleanup(stop)
        subprocess.run(["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false",
                        f"docker-archive:{busybox_archive()}", f"docker://{address}/library/small:1"], check=True)
        # By a name, as an address of loopback may do without a certificate.
        hosts = self.registry_folder / "hosts"
        hosts.write_text("127.0.0.1 localhost registry.test other.test\n")
        self.files = {"/etc/hosts": hosts}
        self.port = address.split(":")[1]
        super().setUp()

    def up(self, host):
        self.write("name: secure\nservices:\n  s: {init: true, command: sleep 1000, "
                   f"image: '{host}:{self.port}/library/small:1'}}\n")
        return self.compose("up", "-d", check=False)

    def test_a_registry_that_the_host_trusts(self):
        self.stop_daemon()
        self.environment = {"SSL_CERT_FILE": str(self.certificate)}
        self.start_daemon()
        self.assertEqual(self.up("registry.test").returncode, 0)
        self.assertEqual(self.container("s")["state"], "running")
        other = self.up("other.test")
        self.assertEqual(other.returncode, 1, "the certificate is not for this name")
        self.assertRegex(other.stderr, f"certificate of \"other.test:{self.port}\" is not")

    def test_one_of_an_unknown_authority_is_refused(self):
        up = self.up("registry.test")
        self.assertEqual(up.returncode, 1)
        self.assertRegex(up.stderr, f"certificate of \"registry.test:{self.port}\" is not")


if __name__ == "__main__":
    unittest.main()
