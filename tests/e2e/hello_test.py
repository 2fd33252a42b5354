"""The stack of examples/hello, and what a person does with one: up, ps, logs, exec, stop, start, down."""
import json
import shutil
import subprocess
import unittest

from harness import DaemonTest, ROOT, wait_until


def fetch(port):
    return subprocess.run(["curl", "-sS", "-m", "3", f"http://127.0.0.1:{port}/"], text=True, capture_output=True)


class HelloTest(DaemonTest):
    def setUp(self):
        super().setUp()
        shutil.copy(ROOT / "examples/hello/compose.yaml", self.project)
        text = (self.project / "compose.yaml").read_text()
        self.write("name: hello\n" + text.replace("8080:80", "18080:80"))

    def test_up_serves_and_down_leaves_nothing(self):
        up = self.compose("up", "-d")
        self.assertIn("Container hello-web-1  Started", up.stderr)
        self.assertLess(up.stderr.index("hello-writer-1  Healthy"), up.stderr.index("hello-web-1  Starting"))
        wait_until(lambda: "Hello from composed" in fetch(18080).stdout, 5, "the page")
        ps = self.compose("ps").stdout
        self.assertIn("127.0.0.1:18080->80/tcp", ps)
        self.assertIn("(healthy)", ps)
        self.compose("down", "-v")
        self.assertEqual(self.api("/containers"), [])
        self.assertNotEqual(fetch(18080).returncode, 0)

    def test_a_second_up_does_nothing(self):
        self.compose("up", "-d")
        before = {each["id"]: each["pid"] for each in self.containers()}
        again = self.compose("up", "-d")
        self.assertEqual({each["id"]: each["pid"] for each in self.containers()}, before)
        self.assertIn("Container hello-web-1  Running", again.stderr)

    def test_a_changed_service_alone_is_made_again(self):
        self.compose("up", "-d")
        before = {each["service"]: each["id"] for each in self.containers()}
        text = (self.project / "compose.yaml").read_text()
        self.write(text.replace("httpd -f -v", "httpd -f"))
        self.compose("up", "-d")
        after = {each["service"]: each["id"] for each in self.containers()}
        self.assertNotEqual(before["web"], after["web"])
        self.assertEqual(before["writer"], after["writer"])

    def test_ps_json_is_an_object_a_line(self):
        self.compose("up", "-d")
        rows = [json.loads(line) for line in self.compose("ps", "--format", "json").stdout.splitlines()]
        self.assertEqual([row["Service"] for row in rows], ["web", "writer"])
        self.assertEqual(rows[0]["Publishers"][0]["PublishedPort"], 18080)
        self.assertEqual(rows[1]["Health"], "healthy")

    def test_exec_passes_input_output_errors_and_the_exit_code(self):
        self.compose("up", "-d")
        done = self.compose("exec", "-T", "-e", "A=b", "-w", "/tmp", "web", "sh", "-c",
                            "cat; echo err >&2; pwd; echo $A; id -u; exit 7", input="in\n", check=False)
        self.assertEqual(done.returncode, 7)
        self.assertEqual(done.stdout, "in\n/tmp\nb\n0\n")
        self.assertEqual(done.stderr, "err\n")
        missing = self.compose("exec", "-T", "web", "no-such-program", check=False)
        self.assertNotEqual(missing.returncode, 0)

    def test_services_find_one_another_by_name(self):
        self.compose("up", "-d")
        answer = self.compose("exec", "-T", "writer", "wget", "-q", "-O", "-", "http://web/").stdout
        self.assertIn("Hello from composed", answer)
        unknown = self.compose("exec", "-T", "writer", "nslookup", "no-such-name.invalid", check=False)
        self.assertNotEqual(unknown.returncode, 0)

    def test_stop_start_restart_kill_and_rm(self):
        self.compose("up", "-d")
        self.compose("stop")
        self.assertEqual({each["state"] for each in self.containers()}, {"exited"})
        self.compose("start")
        self.assertEqual({each["state"] for each in self.containers()}, {"running"})
        before = self.container("web")["pid"]
        self.compose("restart", "web")
        self.assertNotEqual(self.container("web")["pid"], before)
        self.compose("kill", "web")
        self.assertEqual(self.wait_for_state("web", "exited")["exit_code"], 137)
        self.compose("rm", "-f", "web")
        self.assertEqual(self.containers("web"), [])
        self.compose("up", "-d")
        wait_until(lambda: "Hello from composed" in fetch(18080).stdout, 5, "the page")

    def test_logs_have_a_prefix_and_follow(self):
        self.compose("up", "-d")
        wait_until(lambda: "Hello from composed" in fetch(18080).stdout, 5, "the page")
        wait_until(lambda: "response:200" in self.compose("logs", "web").stdout, 5, "the request in the log")
        line = self.compose("logs", "-n", "1", "web").stdout
        self.assertTrue(line.startswith("web-1     | ") or line.startswith("web-1"), line)

    def test_volume_content_outlives_down_but_not_down_v(self):
        self.compose("up", "-d")
        self.compose("exec", "-T", "web", "sh", "-c", "echo kept > /www/kept")
        self.compose("down")
        self.compose("up", "-d")
        self.assertEqual(self.compose("exec", "-T", "web", "cat", "/www/kept").stdout, "kept\n")
        self.compose("down", "-v")
        self.compose("up", "-d")
        self.assertNotEqual(self.compose("exec", "-T", "web", "cat", "/www/kept", check=False).returncode, 0)


if __name__ == "__main__":
    unittest.main()
