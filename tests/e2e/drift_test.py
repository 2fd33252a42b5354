"""What others do to the host while a stack runs is put right by itself: within a second where the kernel tells, and `ps` says what."""
import contextlib
import datetime
import http.server
import json
import os
import pathlib
import shutil
import signal
import socketserver
import subprocess
import threading
import time
import unittest
import urllib.request

from harness import DaemonTest, wait_until

STACK = """name: drift
services:
  web: {image: busybox, init: true, command: httpd -f -p 80 -h /etc, ports: ['127.0.0.1:18172:80'], restart: always, volumes: ['data:/data']}
  other: {image: busybox, init: true, command: sleep 1000, networks: [default, back]}
networks: {back: }
volumes: {data: }
"""
SECOND = 1.0


def run(*command):
    return subprocess.run(command, text=True, capture_output=True, check=True).stdout


class DriftTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.write(STACK)
        self.compose("up", "-d")
        wait_until(self.serves, 5, "the page")

    def serves(self):
        """By its published port and, to another container, by its name; the outside is reached by the right interface."""
        try:
            page = urllib.request.urlopen("http://127.0.0.1:18172/passwd", timeout=0.5).read()
        except OSError:
            return False
        inside = self.compose("exec", "-T", "other", "timeout", "1", "wget", "-qO-", "http://web/passwd", check=False).stdout
        return b"root" in page and "root" in inside

    def links(self, kind):
        return [link for link in os.listdir("/sys/class/net") if link.startswith(f"{kind}{self.tag()}-")]

    def veths_of(self, service):
        """Its interfaces on the host, by the index that the kernel gives the far ends."""
        pid = self.container(service)["pid"]
        far = json.loads(run("nsenter", "-t", str(pid), "-n", "ip", "-j", "link"))
        indexes = {link["link_index"] for link in far if "link_index" in link}
        return [link["ifname"] for link in json.loads(run("ip", "-j", "link")) if link["ifindex"] in indexes]

    def put_right(self, what, told):
        """Does `what`, and expects the page within a second of it and `told` in what `ps` says."""
        before = len(self.api("/projects/drift/repairs")["repairs"])
        what()
        start = time.monotonic()
        wait_until(lambda: len(self.api("/projects/drift/repairs")["repairs"]) > before, 5, f"the repair: {told}")
        took = time.monotonic() - start
        print(f"{told}: put right after {took * 1000:.0f} ms (asked: 1000)")
        self.assertLess(took, SECOND)
        self.assertTrue(wait_until(self.serves, 2, f"the page after: {told}"))
        self.assertIn(told, self.compose("ps").stderr)
        events = [json.loads(line) for line in self.compose("events", "--json", "--since", "1m", "--until", "0s").stdout.splitlines()]
        self.assertIn(("repaired", told), [(each["action"], each["attributes"].get("detail")) for each in events])

    def test_a_firewall_table_that_somebody_changes(self):
        table = ("table", "ip", self.instance)
        whole = run("nft", "list", *table)
        told = f'firewall table "{self.instance}" had been changed by another program'
        for command in (("delete", *table), ("flush", *table), ("delete", "chain", "ip", self.instance, "forward"),
                        ("flush", "chain", "ip", self.instance, "postrouting"), ("flush", "map", "ip", self.instance, "pub_addr"),
                        ("add", "rule", "ip", self.instance, "forward", "drop")):
            with self.subTest(command):
                self.put_right(lambda c=command: run("nft", *c), told)
                self.assertEqual([line for line in run("nft", "list", *table).splitlines() if "counter" not in line],
                                 [line for line in whole.splitlines() if "counter" not in line])

    def test_tables_of_others_do_not_concern_it(self):
        name = self.instance + "other"
        run("nft", "add", "table", "ip", name)
        run("nft", "delete", "table", "ip", name)
        time.sleep(0.3)
        self.assertEqual(self.api("/projects/drift/repairs")["repairs"], [])

    def test_more_changes_of_others_than_can_be_heard_are_no_drift(self):
        """While it is busy the kernel drops what it cannot keep for it, also who closed a transaction."""
        name = self.instance + "other"
        run("nft", "add", "table", "ip", name)
        self.addCleanup(run, "nft", "delete", "table", "ip", name)
        run("nft", "add", "set", "ip", name, "s", "{ type ipv4_addr ; }")
        self.daemon.send_signal(signal.SIGSTOP)
        try:
            for block in range(20):
                addresses = ", ".join(f"10.{block}.{number >> 8}.{number & 255}" for number in range(5000))
                subprocess.run(["nft", "-f", "-"], input=f"add element ip {name} s {{ {addresses} }}", text=True, check=True)
        finally:
            self.daemon.send_signal(signal.SIGCONT)
        time.sleep(1.5)
        self.assertEqual(self.api("/projects/drift/repairs")["repairs"], [])

    def test_what_is_over_is_told_for_a_minute_and_once(self):
        now = datetime.datetime.now(datetime.timezone.utc)

        def repair(seconds, name, detail):
            return {"kind": "network", "name": name, "detail": detail, "time": (now - datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")}

        answers = {"/repairs": {"repairs": [repair(90, "old", "gone"), repair(40, "n", "gone"), repair(20, "n", "gone"), repair(10, "n", "down")],
                                "problems": ["a \x1b[2Jdisk"]}, "/containers": []}

        class Daemon(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                found = [answers[end] for end in answers if self.path.split("?")[0].endswith(end)]
                body = json.dumps(found[0] if found else {"kind": "not_found", "message": "none"}).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

            def address_string(self):
                return ""

        path = f"{self.folder}/other.sock"
        with socketserver.ThreadingUnixStreamServer(path, Daemon) as server:
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            told = self.compose("-p", "drift", "ps", env={"COMPOSED_HOST": f"unix://{path}"}).stderr.splitlines()
            server.shutdown()
            thread.join()
        self.assertRegex("\n".join(told), r"^put right 2\d seconds ago: network n: gone \(2 times\)\nput right 1\d seconds ago: network n: down\nproblem: a \?\[2Jdisk$")

    def test_its_own_work_is_no_drift(self):
        self.compose("up", "-d", "--force-recreate", "-t", "0")
        self.compose("restart", "-t", "0")
        self.compose("exec", "-T", "web", "killall", "httpd")
        wait_until(lambda: self.container("web")["restart_count"] == 1, 10, "the restart")
        self.compose("down", "-t", "0")
        self.compose("up", "-d")
        time.sleep(0.3)
        self.assertEqual(self.api("/projects/drift/repairs")["repairs"], [])

    def hardware(self):
        return {bridge: pathlib.Path("/sys/class/net", bridge, "address").read_text() for bridge in self.links("b")}

    def test_bridges_and_their_addresses(self):
        # Containers remember that of their gateway. A bridge without one of its own takes that of a port, and another when the port goes.
        before = self.hardware()
        self.compose("stop", "-t", "0", "web")
        self.assertEqual(self.hardware(), before)
        self.compose("start", "web")
        wait_until(self.serves, 5, "the page")
        for bridge in self.links("b"):
            self.put_right(lambda b=bridge: run("ip", "link", "del", b), "its bridge had been deleted")
            self.put_right(lambda b=bridge: run("ip", "link", "set", b, "down"), "its bridge had been taken down")
            self.put_right(lambda b=bridge: run("ip", "address", "flush", "dev", b), "the address of its bridge had been deleted")
        self.assertEqual(self.hardware(), before)

    def test_interfaces_of_containers(self):
        for service in ("web", "other"):
            for veth in self.veths_of(service):
                self.put_right(lambda v=veth: run("ip", "link", "set", v, "nomaster"), "an interface had been taken off its bridge")
                self.put_right(lambda v=veth: run("ip", "link", "set", v, "down"), "an interface had been taken down")
                self.put_right(lambda v=veth: run("ip", "link", "del", v), "an interface had been deleted")
        routes = self.compose("exec", "-T", "other", "ip", "route").stdout
        self.assertIn("default via", routes)

    def test_all_at_once_and_after_a_restart_of_the_daemon(self):
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()

        def havoc():
            run("nft", "delete", "table", "ip", self.instance)
            for link in self.links("b") + self.links("v"):
                subprocess.run(["ip", "link", "del", link], check=False, capture_output=True)

        self.put_right(havoc, "its bridge had been deleted")

    def test_a_killed_shim(self):
        web = self.container("web")
        shim = next(pid for pid, command in self.processes() if "composed-shim" in command and web["id"] in command)
        self.put_right(lambda: os.kill(shim, signal.SIGKILL), "its shim had been killed: the container was ended and is started again")
        with contextlib.suppress(FileNotFoundError):  # or a zombie that PID 1 has not reaped yet
            self.assertIn("Z (zombie)", pathlib.Path(f"/proc/{web['pid']}/status").read_text())

    def test_a_run_folder_that_was_removed_while_no_daemon_was_there(self):
        web = self.container("web")
        self.stop_daemon()
        shutil.rmtree(self.run_folder / "container" / web["id"])
        self.start_daemon()
        self.assertTrue(wait_until(self.serves, 5, "the page"))
        self.assertEqual(sum("composed-shim" in command for _, command in self.processes()), 2)
        self.assertNotEqual(self.container("web")["pid"], web["pid"])

    def test_a_shim_that_does_not_hear_is_ended_with_its_container(self):
        for restarted in (False, True):
            other = self.container("other")
            shim = next(pid for pid, command in self.processes() if "composed-shim" in command and other["id"] in command)
            if restarted:
                self.stop_daemon(signal.SIGKILL)
                self.start_daemon()
            os.kill(shim, signal.SIGSTOP)
            self.compose("stop", "-t", "0", "other")
            self.assertEqual((self.container("other")["state"], self.container("other")["exit_code"]), ("exited", 137))
            self.compose("start", "other")

    def test_a_volume_whose_folder_has_gone_is_a_problem_and_never_made_anew(self):
        self.compose("exec", "-T", "web", "sh", "-c", "echo kept >/data/file")
        folder = self.state / "volume" / "drift_data"
        folder.rename(self.folder / "away")
        problem = wait_until(lambda: self.api("/projects/drift/repairs")["problems"], 2, "the problem")
        self.assertIn("has disappeared", problem[0])
        self.assertIn('problem: volume "drift_data"', self.compose("ps").stderr)
        refused = self.compose("up", "-d", "--force-recreate", "-t", "0", "web", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("has disappeared", refused.stderr)
        self.assertFalse(folder.exists())
        shutil.move(self.folder / "away", folder)
        wait_until(lambda: not self.api("/projects/drift/repairs")["problems"], 2, "the end of the problem")
        self.compose("up", "-d")
        self.assertEqual(self.compose("exec", "-T", "web", "cat", "/data/file").stdout, "kept\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
