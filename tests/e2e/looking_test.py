"""What looks at containers and acts on them as they are: top, stats, port, pause, wait, scale, create, and flags of up and logs."""
import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from harness import BIN, DaemonTest, wait_until
from terminal_test import TerminalTest

STACK = """
name: p
services:
  web:
    image: busybox
    init: true
    command: sh -c 'sleep 1000 & exec httpd -f -p 80'
    ports: ["127.0.0.1:18211:80", "127.0.0.1:18212:81/udp"]
    depends_on: [db]
  db: {image: busybox, init: true, command: sleep 1000, stop_grace_period: 60s}
"""


class LookingTest(DaemonTest):
    def test_kill_of_orphans_too(self):
        service = "{image: busybox, init: true, command: sleep 1000}"
        self.write(f"name: k\nservices: {{a: {service}, b: {service}}}\n")
        self.compose("up", "-d")
        self.write(f"name: k\nservices: {{a: {service}}}\n")
        self.compose("up", "-d")
        self.compose("kill")
        self.wait_for_state("a", "exited")
        self.assertEqual(self.container("b")["state"], "running")
        self.compose("kill", "--remove-orphans")
        self.wait_for_state("b", "exited")

    def test_orphans_by_the_environment(self):
        service = "{image: busybox, init: true, command: sleep 1000}"
        both, one = f"name: k\nservices: {{a: {service}, b: {service}}}\n", f"name: k\nservices: {{a: {service}}}\n"
        self.write(both)
        self.compose("up", "-d")
        self.write(one)
        self.assertIn("Found orphan containers ([k-b-1])", self.compose("up", "-d").stderr)
        self.write("COMPOSE_IGNORE_ORPHANS=true\n", ".env")
        self.assertNotIn("orphan", self.compose("up", "-d").stderr)
        wrong = self.compose("up", "-d", "--remove-orphans", check=False)
        self.assertEqual((wrong.returncode, wrong.stderr), (1, "COMPOSE_IGNORE_ORPHANS and --remove-orphans cannot be combined\n"))
        self.write("", ".env")
        self.assertIn("Container k-b-1  Removed", self.compose("up", "-d", env={"COMPOSE_REMOVE_ORPHANS": "true"}).stderr)
        self.write(both)
        self.compose("up", "-d")
        self.write(one)
        self.assertIn("Container k-b-1  Removed", self.compose("down", "-t", "0", env={"COMPOSE_REMOVE_ORPHANS": "1"}).stderr)

    def test_ls_of_some(self):
        for name in "shop-a", "shop-b", "other":
            self.write(f"name: {name}\nservices: {{s: {{image: busybox, init: true, command: sleep 1000}}}}\n")
            self.compose("up", "-d")
        self.assertEqual(self.compose("ls", "-q", "--filter", "name=^shop").stdout.split(), ["shop-a", "shop-b"])
        self.assertEqual(self.compose("ls", "-q", "--filter", "name=-a$", "--filter", "name=oth").stdout.split(), ["other", "shop-a"])
        for wrong in "nme=a", "name", "name=(":
            refused = self.compose("ls", "--filter", wrong, check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn(f'--filter "{wrong}"', refused.stderr)

    def test_top_and_port(self):
        self.write(STACK)
        self.assertEqual(self.compose("-p", "none", "top").stdout, "")
        self.compose("up", "-d", "--scale", "db=2")
        lines = self.compose("top").stdout.splitlines()
        self.assertRegex(lines[0], r"^SERVICE  #   UID   PID +PPID +C   STIME +TTY  TIME      CMD$")
        rows = [line.split(None, 9) for line in lines[1:]]
        self.assertEqual(sorted((row[0], row[1]) for row in rows if row[9] == "sleep 1000"), [("db", "1"), ("db", "2"), ("web", "1")])
        of_web = [row for row in rows if row[0] == "web"]
        self.assertEqual({row[2] for row in of_web}, {"root"})
        first = str(next(each for each in self.containers("web"))["pid"])
        self.assertIn(first, [row[3] for row in of_web])
        self.assertEqual({line.split()[0] for line in self.compose("top", "db").stdout.splitlines()[1:]}, {"db"})
        self.assertEqual(self.compose("port", "web", "80").stdout, "127.0.0.1:18211\n")
        self.assertEqual(self.compose("port", "--protocol", "udp", "web", "81").stdout, "127.0.0.1:18212\n")
        none = self.compose("port", "web", "81", check=False)
        self.assertEqual(none.returncode, 1)
        self.assertIn("no port 81/tcp for container p-web-1: 127.0.0.1:18211->80/tcp", none.stderr)
        self.compose("stop", "-t", "0", "web")
        stopped = self.compose("port", "web", "80", check=False)
        self.assertEqual((stopped.returncode, stopped.stderr), (1, 'service "web" is not running\n'))

    def test_stats(self):
        self.write("""
name: p
services:
  busy: {image: busybox, command: sh -c 'while true; do :; done'}
  big: {image: busybox, command: "sh -c 'dd if=/dev/zero of=/shm bs=1M count=0; head -c 40m /dev/zero | tail -c 40m | sleep 1000'"}
  off: {image: busybox, command: "true"}
""")
        self.compose("up", "-d")
        rows = {row["Name"]: row for row in map(json.loads, self.compose("stats", "--no-stream", "--format", "json").stdout.splitlines())}
        self.assertEqual(set(rows), {"p-busy-1", "p-big-1"})
        busy = rows["p-busy-1"]
        self.assertGreater(float(busy["CPUPerc"].rstrip("%")), 5)
        self.assertEqual(busy["PIDs"], "1")
        self.assertGreater(int(rows["p-big-1"]["PIDs"]), 1)
        self.assertRegex(busy["MemUsage"], r"^[0-9.]+[KM]?i?B / [0-9.]+GiB$")
        table = self.compose("stats", "--no-stream", "-a", "busy").stdout.splitlines()
        self.assertRegex(table[0], r"^CONTAINER ID   NAME +CPU % +MEM USAGE / LIMIT +MEM % +NET I/O +BLOCK I/O +PIDS$")
        self.assertEqual(len(table), 2)
        self.assertEqual(len(self.compose("stats", "--no-stream", "-a").stdout.splitlines()), 4)
        heads = self.compose("stats", "--no-stream", "--format", "table {{.Name}}\\t{{.CPUPerc}}\\t{{.MemUsage}}").stdout.splitlines()[0]
        self.assertRegex(heads, "^NAME +CPU % +MEM USAGE / LIMIT$")
        template = self.compose("stats", "--no-stream", "--format", "{{.Name}}: {{.PIDs}}", "busy").stdout
        self.assertEqual(template, "p-busy-1: 1\n")
        wrong = self.compose("stats", "--no-stream", "--format", "{{.Nope}}", "busy", check=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn(".Nope", wrong.stderr)

    def frozen(self, container):
        return (pathlib.Path("/sys/fs/cgroup/freezer") / self.instance / container["id"] / "freezer.state").read_text().strip() \
            if pathlib.Path("/sys/fs/cgroup/freezer").exists() else \
            "FROZEN" if "frozen 1" in (pathlib.Path("/sys/fs/cgroup") / self.instance / container["id"] / "cgroup.events").read_text() \
            else "THAWED"

    def test_pause_holds_across_daemons_and_stop_thaws(self):
        self.write("""
name: p
services:
  s: {image: busybox, init: true, command: sleep 1000, healthcheck: {test: "true", interval: 100ms, timeout: 1s, retries: 1}}
""")
        self.compose("up", "-d", "--wait")
        self.assertEqual(self.compose("pause", "s").stderr, " Container p-s-1  Paused\n")
        self.assertEqual(self.container("s")["state"], "paused")
        self.assertEqual(self.frozen(self.container("s")), "FROZEN")
        self.assertRegex(self.compose("ps").stdout, r"Up .* \(healthy\) \(Paused\)")
        again = self.compose("pause", check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("is already paused", again.stderr)
        refused = self.compose("exec", "s", "true", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("is paused", refused.stderr)
        time.sleep(2.5)
        self.assertEqual(self.container("s")["health"], "healthy")  # nobody asked
        self.assertIn("Running", self.compose("up", "-d").stderr)
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        self.assertEqual(self.container("s")["state"], "paused")
        self.assertEqual(self.compose("unpause").stderr, " Container p-s-1  Unpaused\n")
        self.assertEqual(self.frozen(self.container("s")), "THAWED")
        self.wait_for_state("s", "running")
        self.compose("pause")
        began = time.monotonic()
        self.compose("stop")
        self.assertLess(time.monotonic() - began, 8)
        self.assertEqual(self.container("s")["exit_code"], 143)
        self.compose("start")
        self.compose("pause")
        self.compose("kill", "-s", "KILL")
        self.wait_for_state("s", "exited")
        self.compose("start")
        self.compose("pause")
        self.compose("restart")
        self.assertEqual(self.container("s")["state"], "running")
        self.compose("pause")

    def test_wait(self):
        self.write("name: p\nservices: {a: {image: busybox, command: sh -c 'sleep 1; exit 4'}, b: {image: busybox, command: 'true'}}\n")
        self.compose("up", "-d")
        one = self.container("a")["id"]
        done = self.compose("wait", "a", check=False)
        self.assertEqual((done.returncode, done.stdout), (4, f'container "{one}" exited with status code 4\n'))
        both = self.compose("wait", "--down-project", "a", "b", check=False)
        self.assertEqual(len(both.stdout.splitlines()), 2)
        self.assertEqual(self.api("/projects"), [])
        none = self.compose("wait", "a", check=False)
        self.assertEqual((none.returncode, none.stderr), (1, 'no containers for project "p"\n'))

    def test_a_killed_daemon_costs_those_who_wait_nothing(self):
        self.write("name: p\nservices: {a: {image: busybox, command: sh -c 'echo 1; sleep 3; echo 2; sleep 1; exit 4'}, "
                   "b: {image: busybox, command: sh -c 'sleep 1; exit 5'}}\n")
        environment = {**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"}
        self.compose("create")

        def begin(*arguments):
            return subprocess.Popen([BIN / "compose", *arguments], cwd=self.project, text=True, env=environment,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        attached = begin("up", "--exit-code-from", "a", "--no-log-prefix", "a")
        wait_until(lambda: self.container("a")["state"] == "running", 10, "a to run")
        self.compose("start", "b")
        clients = [begin("wait", "a"), begin("wait", "b"), begin("logs", "-f", "--no-log-prefix", "a"), attached]
        time.sleep(0.5)
        self.stop_daemon(signal.SIGKILL)
        time.sleep(1)
        self.start_daemon()
        ends = [(client.communicate(timeout=20), client.returncode) for client in clients]
        self.assertEqual([code for _, code in ends], [4, 5, 0, 4], ends)
        self.assertEqual(ends[0][0][0], f'container "{self.container("a")["id"]}" exited with status code 4\n')
        for out, _ in ends[2:]:
            self.assertEqual([line for line in out[0].splitlines() if line.isdigit()], ["1", "2"])
            self.assertEqual(out[0].count("a-1 exited with code 4"), 1)

    def test_events_of_execs_and_attachments(self):
        self.write("name: p\nservices: {a: {image: busybox, init: true, command: sh -c 'sleep 2; exit 3', labels: {team: x}}}\n")
        self.compose("up", "-d")
        self.compose("exec", "-T", "a", "sh", "-c", "exit 5", check=False)
        self.compose("exec", "-d", "a", "sleep", "0.2")
        self.compose("exec", "-T", "a", "no-such-program", check=False)
        self.compose("attach", "a", check=False)
        events = [json.loads(line) for line in self.compose("events", "--json", "--since", "1m", "--until", "0s").stdout.splitlines()]
        mine = [each for each in events if each["action"].startswith(("exec_", "attach"))]
        self.assertEqual([each["action"] for each in mine if each["action"] != "exec_die"],
                         ["exec_create: sh -c exit 5", "exec_start: sh -c exit 5", "exec_create: sleep 0.2", "exec_start: sleep 0.2",
                          "exec_create: no-such-program", "attach"])
        ends = [each["attributes"] for each in mine if each["action"] == "exec_die"]
        self.assertEqual([each["exitCode"] for each in ends], ["5", "0"])
        self.assertEqual([each["execID"] for each in ends], [each["attributes"]["execID"] for each in mine if each["action"].startswith("exec_start")])
        self.assertEqual(ends[0] | {"execID": ""}, {"execID": "", "exitCode": "5", "image": "busybox", "name": "p-a-1", "team": "x"})

    def test_start_with_a_timeout_ends_by_then(self):
        self.write("""
name: p
services:
  slow: {image: busybox, init: true, command: sleep 1000, healthcheck: {test: "false", interval: 200ms, retries: 1000}}
  late: {image: busybox, init: true, command: sleep 1000, depends_on: {slow: {condition: service_healthy}}}
""")
        self.compose("create")
        began = time.monotonic()
        late = self.compose("start", "--wait", "--wait-timeout", "1", check=False, timeout=20)
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(late.returncode, 1)
        self.assertIn("timeout: container p-slow-1 is not up yet", late.stderr)
        self.assertEqual(self.container("late")["state"], "created")

    def test_a_killed_daemon_costs_an_up_under_way_nothing(self):
        """However it looks on: it has its end from the daemon that carries it on, and makes nothing anew twice."""
        self.write("name: p\nservices:\n"
                   "  slow: {image: busybox, command: sh -c 'sleep 3; touch /ok; sleep 100', init: true, healthcheck: {test: test -e /ok, interval: 100ms, retries: 100}}\n"
                   "  a: {image: busybox, command: sh -c 'echo here; exit 4', depends_on: {slow: {condition: service_healthy}}}\n")
        environment = {**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"}
        for arguments, code in {("-d", "--force-recreate"): 0, ("--exit-code-from", "a"): 4, ("--wait", "--wait-timeout", "60", "slow"): 0,
                                ("--wait", "--wait-timeout", "2", "slow"): 1}.items():
            self.compose("down", "-t", "0")
            up = subprocess.Popen([BIN / "compose", "up", *arguments], cwd=self.project, text=True, env=environment,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            wait_until(lambda: any(each["service"] == "slow" and each["state"] == "running" for each in self.containers()), 10, "slow to run")
            before = self.container("slow")["id"]
            self.stop_daemon(signal.SIGKILL)
            time.sleep(0.5)
            self.start_daemon()
            out, err = up.communicate(timeout=20)
            self.assertEqual(up.returncode, code, (arguments, out, err))
            self.assertEqual(self.container("slow")["id"], before)
            if code == 4:
                self.assertRegex(out, r"a-1 +\| here")

    def test_of_a_project_that_was_not_brought_up(self):
        """What Docker Compose says then (notes of its transcripts), and what it says of services that the file does not have."""
        self.write(STACK)
        for words, code, out, told in (
                (["ps"], 0, "NAME      IMAGE     COMMAND   SERVICE   CREATED   STATUS    PORTS\n", ""), (["top"], 0, "", ""),
                (["ls"], 0, "NAME                STATUS              CONFIG FILES\n", ""), (["volumes"], 0, "DRIVER    VOLUME NAME\n", ""),
                (["restart"], 0, "", ""), (["stop", "web"], 0, "", ""), (["pause"], 0, "", ""), (["unpause"], 0, "", ""),
                (["kill"], 0, "", "no container to kill\n"), (["logs"], 0, "", ""), (["logs", "-f"], 0, "", ""),
                (["rm", "-f"], 0, "", "No stopped containers\n"), (["-p", "other", "stop"], 0, "", ""),
                (["start", "db"], 1, "", 'service "db" has no container to start; make one with: compose up -d\n'),
                (["exec", "web", "ls"], 1, "", 'service "web" is not running; start it with: compose up -d web\n'),
                (["port", "web", "80"], 1, "", 'service "web" is not running; start it with: compose up -d web\n'),
                (["wait", "web"], 1, "", 'no containers for project "p"\n'),
                *(([*command, "nope"], 1, "", "no such service: nope\n")
                  for command in (["ps"], ["top"], ["images"], ["logs"], ["kill"], ["stop"], ["restart"], ["start"], ["pause"], ["rm", "-f"],
                                  ["stats", "--no-stream"], ["wait"], ["events"]))):
            with self.subTest(words):
                done = self.compose(*words, check=False)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (code, out, told))
        self.assertEqual(len(self.compose("stats", "--no-stream").stdout.splitlines()), 1)

    def test_a_file_that_is_read_twice_is_told_of_once_and_may_come_by_standard_input(self):
        text = "name: p\nservices: {a: {image: busybox, init: true, command: sleep 1000, environment: ['A=${NOT_SET}']}, off: {image: busybox, profiles: [x]}}\n"
        warning = 'warning: The "NOT_SET" variable is not set. Defaulting to a blank string.\n'
        self.compose("-f", "-", "up", "-d", input=text)
        for words in ["ps"], ["logs"], ["top"], ["stats", "--no-stream"], ["stop"], ["volumes"]:  # those of the daemon are as those of a file
            self.assertEqual(self.compose("-p", "p", *words, "nope", check=False).stderr, "no such service: nope\n")
        for words, told in ((["exec", "nope", "true"], "no such service: nope\n"), (["port", "nope", "80"], "no such service: nope\n"),
                            (["exec", "off", "true"], 'service "off" is not running; start it with: compose up -d off\n')):
            self.assertEqual(self.compose("-f", "-", *words, input=text, check=False).stderr, warning + told)
        down = self.compose("-f", "-", "down", "-t", "0", input=text).stderr
        self.assertEqual(down.count(warning), 1)
        self.assertIn("Container p-a-1  Removed", down)

    def test_flags_of_building_and_unknown_ones(self):
        self.write("name: p\nservices: {s: {image: busybox, init: true, command: sleep 1000}}\n")
        told = "warning: --build has no effect: composed does not build images yet\n"
        self.assertTrue(self.compose("up", "-d", "--build", "--quiet-build").stderr.startswith(told))
        self.assertTrue(self.compose("create", "--build").stderr.startswith(told))
        done = self.compose("run", "--rm", "--build", "s", "echo", "--build")
        self.assertEqual((done.stdout, done.stderr.startswith(told)), ("--build\n", True))
        for words, said in ((["up", "--build", "--no-build"], "--build and --no-build are incompatible\n"),
                            (["up", "--frobnicate"], "unknown flag: --frobnicate\n"), (["run", "--frob", "s", "ls"], "unknown flag: --frob\n")):
            wrong = self.compose(*words, check=False)
            self.assertEqual((wrong.returncode, wrong.stderr), (1, said))
        self.assertEqual(self.compose("pull", "--policy", "missing", "--include-deps", "--no-parallel", "s").stderr,
                         " Image busybox  Skipped\n")
        self.assertEqual(self.compose("ps", "-q", "--services").stdout, self.container("s")["id"] + "\n")

    def test_dry_run_and_help(self):
        self.write("name: p\nservices: {s: {image: busybox, init: true, command: sleep 1000}}\n")
        self.assertIn("DRY-RUN MODE - create container p-s-1", self.compose("--dry-run", "up", "-d").stdout)
        self.assertEqual(self.containers(), [])
        for words in ["down"], ["run", "s", "true"], ["create"]:
            wrong = self.compose("--dry-run", *words, check=False)
            self.assertEqual(wrong.returncode, 1)
            self.assertIn(f'--dry-run: there is none of "{words[0]}"', wrong.stderr)
        self.assertEqual(self.containers(), [])
        self.assertEqual(self.compose("help").stdout, self.compose("--help").stdout)
        self.assertEqual(self.compose("help", "up").stdout, self.compose("up", "--help").stdout)
        self.assertIn('unknown command "nope"', self.compose("help", "nope", check=False).stderr)

    def test_signals_by_name_and_number(self):
        self.write("""
name: p
services:
  s:
    image: busybox
    command:
      - sh
      - -c
      - "trap 'echo got 37' 37; trap 'echo got hup' HUP; echo ready; while true; do sleep 0.1; done"
""")
        self.compose("up", "-d")
        wait_until(lambda: "ready" in self.compose("logs").stdout, 10, "the traps")
        self.compose("kill", "-s", "SIGRTMIN+3")
        wait_until(lambda: "got 37" in self.compose("logs").stdout, 5, "SIGRTMIN+3")
        self.compose("kill", "-s", "hup")
        wait_until(lambda: "got hup" in self.compose("logs").stdout, 5, "SIGHUP")
        for wrong in "NOPE", "1&orphans=1", "":
            refused = self.compose("kill", "-s", wrong, check=False)
            self.assertEqual(refused.returncode, 1, wrong)
            self.assertIn(f'"{wrong}"', refused.stderr)
        refused = self.compose("kill", "", check=False)
        self.assertEqual((refused.returncode, refused.stderr), (1, "no such service: the name is empty\n"))
        self.assertEqual(self.container("s")["state"], "running")

    def test_words_of_restart_wait_and_rm(self):
        self.write("""
name: p
services:
  a: {image: busybox, init: true, command: sleep 1000, healthcheck: {test: "true", interval: 300ms}}
  b: {image: busybox, init: true, command: sleep 1000, depends_on: {a: {condition: service_healthy}}}
  job: {image: busybox, command: "true", x-composed: {schedule: "@yearly"}}
""")
        first = self.compose("up", "-d", "--wait", "a", "b").stderr.splitlines()
        self.assertEqual([line.split("  ")[1] for line in first if "p-a-1" in line],
                         ["Creating", "Created", "Starting", "Started", "Waiting", "Healthy", "Waiting", "Healthy"])
        self.assertEqual([line.split("  ")[1] for line in first if "p-b-1" in line],
                         ["Creating", "Created", "Starting", "Started", "Waiting", "Healthy"])
        self.compose("stop", "-t", "0")
        self.assertEqual(self.compose("start", "--wait", "--wait-timeout", "20", "a").stderr.splitlines()[-2:],
                         [" Container p-a-1  Waiting", " Container p-a-1  Healthy"])
        self.assertEqual(self.container("a")["health"], "healthy")
        self.compose("start", "b")
        self.assertEqual(self.compose("restart", "-t", "0", "b").stderr, " Container p-b-1  Restarting\n Container p-b-1  Started\n")
        self.compose("up", "-d", "job")
        self.assertEqual(self.compose("restart", "job").stderr, " Container p-job-1  Scheduled\n")
        self.compose("restart", "-t", "0", "a")
        self.compose("run", "--no-deps", "b", "true")
        self.assertEqual(self.compose("rm", "-f").stderr, "No stopped containers\n")
        done = self.compose("rm", "-sf", "b")
        self.assertEqual(done.stdout, "Going to remove p-b-1\n")
        self.assertEqual(done.stderr, "".join(f" Container p-b-1  {word}\n" for word in ("Stopping", "Stopped", "Removing", "Removed")))

    def test_ps_as_docker_has_it(self):
        command = json.dumps(["sh", "-c", "echo 'ü \"q\"\n'; sleep 1000"])
        self.write(f"name: p\nservices: {{s: {{image: busybox, init: true, command: {command}}}}}\n")
        self.compose("up", "-d")
        self.assertIn('"sh -c \'echo \'ü \\"q\\"\\n…"', self.compose("ps").stdout)
        [short] = map(json.loads, self.compose("ps", "--format", "json").stdout.splitlines())
        [whole] = map(json.loads, self.compose("ps", "--no-trunc", "--format", "json").stdout.splitlines())
        self.assertEqual(short["Command"], '"sh -c \'echo \'ü \\"q\\"\\n…"')
        self.assertEqual(whole["Command"], '"sh -c \'echo \'ü \\"q\\"\\n\'; sleep 1000\'"')
        self.assertRegex(short["CreatedAt"], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} [A-Z+-]\w*$")

    def test_flags_that_are_given_a_value(self):
        self.write("name: p\nservices: {s: {image: busybox, init: true, command: sleep 1000, ports: ['127.0.0.1:18213:80']}, "
                   "h: {image: busybox, init: true, command: sleep 1000, network_mode: host}}\n")
        self.compose("up", "-d")
        for flag in "-i=false", "--interactive=false":
            self.assertEqual(self.compose("run", "--rm", flag, "s", "cat", input="unheard").stdout, "")
            self.assertEqual(self.compose("exec", flag, "s", "cat", input="unheard").stdout, "")
        self.assertEqual(self.compose("run", "--rm", "-i=true", "s", "cat", input="heard").stdout, "heard")
        self.assertEqual(self.compose("port", "--protocol", "TCP", "s", "80").stdout, "127.0.0.1:18213\n")
        wrong = self.compose("port", "--protocol", "icmp", "s", "80", check=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn('"icmp" is neither', wrong.stderr)
        wrong = self.compose("--parallel", "x", "ps", check=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("--parallel", wrong.stderr)
        [row] = map(json.loads, self.compose("stats", "--no-stream", "--format", "json", "h").stdout.splitlines())
        self.assertEqual(row["NetIO"], "0B / 0B")

    def test_following_ends_at_a_time(self):
        self.write("name: p\nservices: {s: {image: busybox, init: true, command: sh -c 'echo early; sleep 1000'}}\n")
        self.compose("up", "-d")
        wait_until(lambda: "early" in self.compose("logs").stdout, 10, "a line")
        self.assertEqual(self.compose("logs", "-n", "-1", "--no-log-prefix").stdout, "early\n")
        began = time.monotonic()
        until = str(time.time() + 2)
        self.assertEqual(self.compose("logs", "-f", "--until", until, "--no-log-prefix", timeout=10).stdout, "early\n")
        self.assertGreater(time.monotonic() - began, 1.5)
        self.assertEqual(self.compose("logs", "-f", "--until", "0s", "--no-log-prefix", timeout=10).stdout, "early\n")

    def test_scale_and_create(self):
        self.write("name: p\nservices: {a: {image: busybox, init: true, command: sleep 1000}, one: {image: busybox, container_name: only}}\n")
        created = self.compose("create", "--scale", "a=2", "a").stderr
        self.assertIn("Container p-a-2  Created", created)
        self.assertEqual({each["state"] for each in self.containers()}, {"created"})
        self.assertEqual(self.compose("create", "--scale", "a=2", "a").stderr, " Container p-a-1  Created\n Container p-a-2  Created\n")
        self.compose("scale", "a=3")
        self.assertEqual([each["state"] for each in self.containers("a")], ["running"] * 3)
        (self.project / "compose.yaml").rename(self.project / "away")
        self.compose("-p", "p", "scale", "a=1")
        self.assertEqual([each["number"] for each in self.containers("a")], [1])
        (self.project / "away").rename(self.project / "compose.yaml")
        for words, said in ((["a=x"], "invalid scale specifier: can't parse replica value as int: a=x\n"),
                            (["a"], "invalid scale specifier: a\n"), (["nope=1"], "no such service: nope\n")):
            wrong = self.compose("scale", *words, check=False)
            self.assertEqual((wrong.returncode, wrong.stderr), (1, said))
        named = self.compose("scale", "one=2", check=False)
        self.assertEqual(named.returncode, 1)
        self.assertIn("container_name", named.stderr)

    def test_ps_images_events_and_down(self):
        self.write("name: p\nservices: {a: {image: busybox, init: true, command: sleep 1000}, b: {image: busybox, command: 'true'}, "
                   "c: {image: busybox, init: true, command: sleep 1000}}\n")
        began = time.time()
        self.compose("up", "-d")
        self.wait_for_state("b", "exited")
        form = ("--format", "{{.Service}} {{.State}}")
        self.assertEqual(self.compose("ps", *form).stdout, "a running\nc running\n")
        self.assertEqual(self.compose("ps", "--status", "exited", *form).stdout, "b exited\n")
        self.assertEqual(self.compose("ps", "--filter", "status=running", "--status", "exited", "--services").stdout, "a\nb\nc\n")
        self.assertEqual(self.compose("ps", "a", "--format", "table {{.Name}}\\t{{.State}}").stdout, "NAME    STATE\np-a-1   running\n")
        [whole] = map(json.loads, self.compose("ps", "a", "--no-trunc", "--format", "json").stdout.splitlines())
        self.assertEqual(whole["ID"], self.container("a")["id"])
        for words, said in ((["--filter", "foo=bar"], "unknown filter foo\n"), (["--status", "well"], '"well"')):
            wrong = self.compose("ps", *words, check=False)
            self.assertEqual(wrong.returncode, 1)
            self.assertIn(said, wrong.stderr)
        self.assertRegex(self.compose("images", "a").stdout.splitlines()[1], r"^p-a-1 +busybox +latest .* ago$")
        past = self.compose("events", "--json", "--since", str(began), "--until", "0s", "a").stdout
        self.assertEqual([json.loads(line)["action"] for line in past.splitlines()], ["create", "start"])
        self.write("name: p\nservices: {a: {image: busybox, init: true, command: sleep 1000}, b: {image: busybox, command: 'true'}}\n")
        self.compose("up", "-d")
        self.wait_for_state("b", "exited")
        self.assertEqual(self.compose("ps", "--orphans=false", "--services").stdout, "a\n")
        self.assertEqual(self.compose("ps", "--services").stdout, "a\nc\n")
        self.compose("down", "-t", "0", "a")
        self.assertEqual([each["service"] for each in self.containers()], ["b", "c"])
        wrong = self.compose("down", "--rmi", "foo", check=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn('invalid value for --rmi: "foo"', wrong.stderr)
        done = self.compose("down", "-t", "0", "--remove-orphans", "--rmi", "all")
        self.assertIn(" Image busybox  Removed\n", done.stderr)
        self.assertEqual(self.api("/images"), [])

    def test_logs_by_time_and_index(self):
        self.write("name: p\nservices: {a: {image: busybox, scale: 2, command: sh -c 'echo early; sleep 2; echo late; sleep 1000', init: true}}\n")
        self.compose("up", "-d")
        wait_until(lambda: self.compose("logs").stdout.count("late") == 2, 20, "the late lines")
        self.assertEqual(set(self.compose("logs", "--index", "2").stdout.split()), {"a-2", "|", "early", "late"})
        lines = self.compose("logs", "-t", "--no-log-prefix", "--index", "1").stdout.split()
        middle = lines[2]
        self.assertEqual(self.compose("logs", "--no-log-prefix", "--index", "1", "--since", middle).stdout, "late\n")
        self.assertEqual(self.compose("logs", "--since", "1h", "--until", "0s", "--no-log-prefix", "--index", "1").stdout, "early\nlate\n")
        self.assertEqual(self.compose("logs", "--since", "0s").stdout, "")
        for words, told in (["a"], 'service "a" has no container #3\n'), ([], "no service has a container #3\n"):
            wrong = self.compose("logs", "--index", "3", *words, check=False)
            self.assertEqual((wrong.returncode, wrong.stdout, wrong.stderr), (1, "", told))
        wrong = self.compose("logs", "--since", "yesterday", check=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn('--since "yesterday"', wrong.stderr)


class UpFlagsTest(TerminalTest):
    def test_exec_is_left_alone_by_the_keys(self):
        self.write("name: p\nservices: {s: {image: busybox, init: true, command: sleep 1000}}\n")
        self.compose("up", "-d")
        for number, flags, keys in (1, (), "\x10\x11"), (2, ("--detach-keys", "ctrl-x,q"), "\x18q"):
            shell = self.on_terminal("exec", *flags, "s", "sh", "-c", f"echo begun; sleep 50{number}")
            shell.wait_for("begun")
            shell.type(keys)
            self.assertEqual(shell.end(), 0)
            self.assertIn(f" sleep 50{number}\n", self.compose("top").stdout)
        wrong = self.compose("exec", "--detach-keys", "ctrl-", "s", "true", check=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn('--detach-keys: "ctrl-"', wrong.stderr)

    def test_abort_and_exit_code_from(self):
        self.write("""
name: p
services:
  quick: {image: busybox, command: sh -c 'sleep 1; exit 3'}
  fine: {image: busybox, command: 'true'}
  long: {image: busybox, init: true, command: sh -c 'trap "exit 5" TERM; while true; do sleep 0.1; done'}
""")
        done = self.compose("up", "--abort-on-container-exit", "quick", "long", check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("Aborting on container exit...", done.stderr)
        self.assertEqual(self.container("long")["state"], "exited")
        self.assertEqual(self.compose("up", "--exit-code-from", "long", check=False).returncode, 5)
        done = self.compose("up", "--abort-on-container-failure", check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("fine-1 exited with code 0", done.stdout)
        for words in ["-d"], ["--wait"]:  # nobody would be there to hear of it
            wrong = self.compose("up", *words, "--exit-code-from", "quick", check=False)
            self.assertEqual(wrong.returncode, 1)
            self.assertIn("cannot be combined with --abort-on-container-exit", wrong.stderr)
        wrong = self.compose("up", "--exit-code-from", "nope", check=False)
        self.assertEqual((wrong.returncode, wrong.stderr), (1, "no such service: nope\n"))
        wrong = self.compose("up", "-d", "--wait", "--attach", "quick", check=False)
        self.assertEqual((wrong.returncode, wrong.stderr),
                         (1, "--wait cannot be combined with --abort-on-container-exit, --attach or --attach-dependencies\n"))

    def test_attach_and_prefix(self):
        self.write("name: p\nservices: {a: {image: busybox, command: echo from a}, b: {image: busybox, command: echo from b}}\n")
        self.assertNotIn("from b", self.compose("up", "--attach", "a").stdout)
        self.assertNotIn("from a", self.compose("up", "--no-attach", "a").stdout)
        self.assertIn("\nfrom b\n", "\n" + self.compose("up", "--no-log-prefix").stdout)
        self.write("name: p\nservices: {a: {image: busybox, command: echo from a}, b: {image: busybox, command: echo from b, attach: false}}\n")
        self.assertNotIn("from b", self.compose("up").stdout)
        self.assertIn("from b", self.compose("up", "--attach", "b").stdout)

    def test_recreation(self):
        stack = "name: p\nservices: {{a: {{image: busybox, init: true, command: sleep {0}, depends_on: [b]}}, b: {{image: busybox, init: true, command: sleep {0}}}}}\n"

        def ids():
            return {each["service"]: each["id"] for each in self.containers()}

        self.write(stack.format(1000))
        self.compose("up", "-d")
        before = ids()
        self.write(stack.format(1001))
        self.compose("up", "-d", "--no-recreate", "-y", "--quiet-pull", "--pull", "never")
        self.assertEqual(ids(), before)
        self.write(stack.format(1000))
        self.compose("up", "-d", "--always-recreate-deps", "a", "-t", "0")
        self.assertEqual(ids()["a"], before["a"])
        self.assertNotEqual(ids()["b"], before["b"])
        wrong = self.compose("up", "--force-recreate", "--no-recreate", check=False)
        self.assertEqual((wrong.returncode, wrong.stderr), (1, "--force-recreate and --no-recreate are incompatible\n"))


if __name__ == "__main__":
    unittest.main()
