"""examples/shop, as it is, with real images from a registry that stands in for Docker Hub."""
import json
import os
import signal
import socket
import subprocess
import threading
import time
import unittest
import urllib.parse
import urllib.request

from harness import CACHE, ROOT, DaemonTest, registry_of_images, wait_until

SHOP = str(ROOT / "examples/shop/compose.yaml")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Visitor(threading.Thread):
    """Fetches the front page over and over and keeps what went wrong."""

    def __init__(self, fetch):
        super().__init__()
        self.fetch, self.failures, self.fetched, self.going = fetch, [], 0, True

    def run(self):
        while self.going:
            try:
                self.fetch("/")
                self.fetched += 1
            except OSError as error:
                self.failures.append(f"{time.monotonic():.3f}: {error}")

    def stop(self):
        self.going = False
        self.join()


class ShopTest(DaemonTest):
    @classmethod
    def setUpClass(cls):
        cls.registry, stop = registry_of_images()
        cls.addClassCleanup(stop)

    def setUp(self):
        self.arguments = ("--registry-mirror", f"docker.io=http://{self.registry}")
        self.port = free_port()
        super().setUp()

    def shop(self, *arguments, **options):
        return self.compose("-f", SHOP, *arguments, env={"SHOP_PORT": str(self.port)}, timeout=180, **options)

    def fetch(self, path, form=None):
        data = urllib.parse.urlencode(form).encode() if form else None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data, timeout=5) as answer:
            return answer.read().decode()

    def orders(self):
        return json.loads(self.fetch("/orders"))

    def up(self):
        self.shop("up", "-d", "--wait")

    def test_orders_outlive_down_and_end_with_down_v(self):
        self.up()
        self.assertEqual({(c["service"], c["image"]) for c in self.containers()},
                         {("proxy", "nginx:1.22"), ("app", "python:3.11-slim"), ("cache", "redis:7.0"), ("db", "postgres:15")})
        listed = json.loads(self.shop("images", "--format", "json").stdout)
        self.assertEqual({(row["Repository"], row["Tag"]) for row in listed},
                         {("nginx", "1.22"), ("python", "3.11-slim"), ("redis", "7.0"), ("postgres", "15")})
        self.assertEqual(self.orders(), [])
        self.fetch("/orders", {"item": "a bicycle"})
        self.assertEqual(self.orders(), ["a bicycle"])

        again = self.shop("up", "-d").stderr
        self.assertNotIn("Starting", again)
        self.assertNotIn("Pulling", again)
        self.shop("down")
        self.assertEqual(self.containers(), [])
        with self.assertRaises(OSError):
            self.fetch("/orders")
        self.up()
        self.assertEqual(self.orders(), ["a bicycle"])

        self.shop("down", "-v")
        self.up()
        self.assertEqual(self.orders(), [])

    def test_a_killed_daemon_loses_no_request_and_finds_everything(self):
        self.up()
        before = {c["service"]: c for c in self.containers()}
        visitor = Visitor(self.fetch)
        visitor.start()
        try:
            time.sleep(0.5)
            self.stop_daemon(signal.SIGKILL)
            time.sleep(1)
            began = time.monotonic()
            self.start_daemon()
            took = time.monotonic() - began
            self.assertLess(took, 1)
            after = {c["service"]: c for c in self.containers()}
            time.sleep(0.5)
        finally:
            visitor.stop()
        self.assertEqual(visitor.failures, [])
        self.assertGreater(visitor.fetched, 50)
        for service, container in before.items():
            self.assertEqual({key: after[service].get(key) for key in ("id", "pid", "restart_count", "state", "health")},
                             {key: container.get(key) for key in ("id", "pid", "restart_count", "state", "health")}, service)

    def test_restart_counters_and_health_go_on_after_a_killed_daemon(self):
        self.up()
        def end_cache():
            was = self.container("cache")
            os.kill(was["pid"], signal.SIGKILL)
            wait_until(lambda: self.container("cache")["restart_count"] == was["restart_count"] + 1
                       and self.container("cache")["state"] == "running", 10, "cache to be restarted")
        end_cache()
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        self.assertEqual(self.container("cache")["restart_count"], 1)
        end_cache()
        self.assertEqual(self.container("cache")["restart_count"], 2)
        # Health goes on: an application that answers no longer is found unhealthy by the new daemon.
        self.assertEqual(self.container("app")["health"], "healthy")
        os.kill(self.container("db")["pid"], signal.SIGSTOP)
        try:
            wait_until(lambda: self.container("db")["health"] == "unhealthy", 90, "db to be unhealthy")
        finally:
            os.kill(self.container("db")["pid"], signal.SIGCONT)

    def test_pull_of_a_600_mb_image_tells_its_bytes(self):
        began = time.monotonic()
        pull = self.shop("pull", "db")
        print(f"pull of postgres: {time.monotonic() - began:.1f} s")
        self.assertRegex(pull.stderr, r"Image postgres:15  Pulled  \d+(\.\d+)?MB")
        size = next(image["size"] for image in self.api("/images") if "postgres:15" in image["names"])
        self.assertGreater(size, 600_000_000)


if __name__ == "__main__":
    unittest.main()
