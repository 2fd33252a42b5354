"""Restart policies, dependency conditions, the daemon's own end, and mistakes."""
import os
import signal
import socket
import subprocess
import threading
import time
import unittest

from harness import BIN, DaemonTest, PATIENCE, wait_until


class RestartTest(DaemonTest):
    def restarts(self, policy, command, seconds=1.5):
        self.write(f"name: r\nservices:\n  s:\n    image: busybox\n    restart: {policy}\n    command: sh -c '{command}'\n")
        self.compose("up", "-d")
        time.sleep(seconds)
        found = self.container("s")
        return found["restart_count"], found["state"]

    def test_no_never_restarts(self):
        self.assertEqual(self.restarts('"no"', "exit 1"), (0, "exited"))

    def test_on_failure_leaves_success_alone(self):
        self.assertEqual(self.restarts("on-failure", "exit 0"), (0, "exited"))

    def test_on_failure_with_a_limit_gives_up(self):
        self.assertEqual(self.restarts("on-failure:2", "exit 3"), (2, "exited"))

    def test_always_restarts_after_success_too(self):
        count, state = self.restarts("always", "exit 0")
        self.assertGreaterEqual(count, 2)
        self.assertIn(state, ("restarting", "running", "starting"))

    def test_loops_end_with_down_stop_and_kill_at_any_moment(self):
        self.write("name: l\nservices:\n  s: {image: busybox, command: 'true', restart: always, scale: 20}\n")
        for round, ending in enumerate((["down"], ["kill"], ["stop"], ["rm", "-s", "-f"]) * 2):
            self.compose("up", "-d")
            time.sleep(0.1 + 0.05 * round)
            self.compose(*ending, timeout=30)
            self.assertEqual([each["state"] for each in self.containers() if each["state"] != "exited"], [])
            time.sleep(0.3)
            self.assertEqual([each["state"] for each in self.containers() if each["state"] != "exited"], [])

    def test_stopped_by_hand_stays_stopped_over_the_daemons_restart(self):
        self.restarts("unless-stopped", "exec sleep 1000")
        self.compose("stop", "-t", "0")
        self.stop_daemon()
        self.start_daemon()
        self.assertEqual(self.container("s")["state"], "exited")

    def test_a_stop_right_after_the_start_is_heard(self):
        """The kernel throws a signal to the first process of a container away that this has no handler for yet."""
        self.write("name: early\nservices:\n  s:\n    image: busybox\n    stop_grace_period: 20s\n"
                   "    command: sh -c 'sleep 0.4; trap \"exit 5\" TERM; while :; do sleep 0.1; done'\n")
        self.compose("up", "-d")
        began = time.monotonic()
        self.compose("stop")
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(self.container("s")["exit_code"], 5)
        self.write("name: early\nservices: {s: {image: busybox, init: true, command: sleep 1000}}\n")
        self.compose("up", "-d")
        for _ in range(5):  # an init that waits for signals is not waited for
            self.compose("restart")
            began = time.monotonic()
            self.compose("stop")
            self.assertLess(time.monotonic() - began, 0.8 * PATIENCE)
            self.assertEqual(self.container("s")["exit_code"], 143)
            self.compose("start")


class DependencyTest(DaemonTest):
    def test_a_job_that_fails_keeps_its_dependents_from_starting(self):
        self.write("name: d\nservices:\n  job:\n    image: busybox\n    command: sh -c 'exit 3'\n"
                   "  app:\n    image: busybox\n    command: sleep 1000\n"
                   "    depends_on: {job: {condition: service_completed_successfully}}\n")
        up = self.compose("up", "-d", check=False)
        self.assertEqual(up.returncode, 1)
        self.assertIn('service "job" didn\'t complete successfully: exit 3', up.stderr)
        self.assertEqual(self.container("app")["state"], "created")

    def test_a_job_that_succeeds_lets_them_start_and_is_not_run_again(self):
        self.write("name: d\nservices:\n  job:\n    image: busybox\n    command: 'true'\n"
                   "  app:\n    image: busybox\n    init: true\n    command: sleep 1000\n"
                   "    depends_on: {job: {condition: service_completed_successfully}}\n")
        self.compose("up", "-d")
        first = self.container("job")["started"]
        self.compose("up", "-d")
        self.assertEqual(self.container("job")["started"], first)
        self.assertEqual(self.container("app")["state"], "running")

    def test_who_requires_a_job_waits_for_it_whoever_else_does_not(self):
        self.write("""services:
  job: {image: busybox, command: sh -c 'sleep 0.3; exit 3'}
  opt: {image: busybox, init: true, command: sleep 1000,
        depends_on: {job: {condition: service_completed_successfully, required: false}}}
  web: {image: busybox, init: true, command: sleep 1000, depends_on: {job: {condition: service_completed_successfully}}}
  zopt: {image: busybox, init: true, command: sleep 1000,
         depends_on: {job: {condition: service_completed_successfully, required: false}}}
""")
        self.assertEqual(self.compose("up", "-d", check=False).returncode, 1)
        states = {each["service"]: each["state"] for each in self.containers()}
        self.assertEqual(states, {"job": "exited", "opt": "running", "web": "created", "zopt": "running"})

    def test_a_signal_that_there_is_none_of_is_refused(self):
        self.write("services:\n  s: {image: busybox, init: true, command: sleep 1000, stop_signal: BOGUS}\n")
        self.assertIn('"BOGUS" is no signal', self.compose("up", "-d", check=False).stderr)
        self.assertEqual(self.containers(), [])

    def test_an_unhealthy_dependency_is_named(self):
        self.write("name: d\nservices:\n  db:\n    image: busybox\n    init: true\n    command: sleep 1000\n"
                   "    healthcheck: {test: 'ls /not/there', interval: 100ms, retries: 2}\n"
                   "  app:\n    image: busybox\n    command: sleep 1000\n"
                   "    depends_on: {db: {condition: service_healthy}}\n")
        why = "container d-db-1 is unhealthy: its check exited (1): ls: /not/there: No such file or directory"
        up = self.compose("up", "-d", check=False)
        self.assertEqual(up.returncode, 1)
        self.assertIn(f"dependency failed to start: {why}", up.stderr)
        waits = self.compose("up", "-d", "--wait", "db", check=False)
        self.assertEqual(waits.returncode, 1)
        self.assertIn(why, waits.stderr)
        self.assertIn(f"problem: {why}\n", self.compose("ps").stderr)
        log = self.api(f"/containers/{self.container('db')['id']}")["health_log"]
        self.assertLessEqual(len(log), 5)
        self.assertEqual((log[-1]["exit_code"], log[-1]["output"]), (1, "ls: /not/there: No such file or directory\n"))

    def test_what_has_failed_is_told_with_the_last_lines_of_its_log(self):
        self.write("name: d\nservices:\n  job: {image: busybox, command: sh -c 'seq 1 9; echo no such table >&2; exit 3'}\n"
                   "  app: {image: busybox, command: sleep 1000, depends_on: {job: {condition: service_completed_successfully}}}\n")
        lines = "; the last lines of its log:\n    6\n    7\n    8\n    9\n    no such table\n"
        up = self.compose("up", "-d", check=False)
        self.assertEqual(up.returncode, 1)
        self.assertIn("service \"job\" didn't complete successfully: exit 3" + lines, up.stderr)
        waits = self.compose("up", "-d", "--wait", "job", check=False)
        self.assertEqual(waits.returncode, 1)
        self.assertIn("container d-job-1 exited (3)" + lines, waits.stderr)

    def test_a_dependency_that_keeps_ending_is_told_and_not_waited_for_for_ever(self):
        for condition in "service_healthy", "service_completed_successfully":
            with self.subTest(condition=condition):
                self.write("name: d\nservices:\n  db:\n    image: busybox\n    command: sh -c 'exit 4'\n    healthcheck: {test: 'true'}\n"
                           "    deploy: {restart_policy: {condition: any, delay: 50ms}}\n"
                           "  app:\n    image: busybox\n    init: true\n    command: sleep 1000\n"
                           f"    depends_on: {{db: {{condition: {condition}}}}}\n")
                up = self.compose("up", "-d", check=False)
                self.assertEqual(up.returncode, 1)
                self.assertIn("Container d-db-1  Waiting  exited (4), restarted 3 times\n", up.stderr)
                self.assertIn("dependency failed to start: container d-db-1 keeps ending: exited (4); see: compose logs db", up.stderr)
                self.assertEqual(self.container("app")["state"], "created")
                self.compose("down", "-t", "0")

    def test_a_dependency_may_end_a_few_times_before_it_comes_up(self):
        self.write("name: d\nservices:\n  db:\n    image: busybox\n    command: sh -c 'echo x >>/data/runs; test $$(wc -l </data/runs) -gt 4 && sleep 1000'\n"
                   "    healthcheck: {test: 'true', interval: 100ms, retries: 100}\n    restart: always\n    volumes: ['data:/data']\n"
                   "  app:\n    image: busybox\n    init: true\n    command: sleep 1000\n"
                   "    depends_on: {db: {condition: service_healthy}}\nvolumes: {data: }\n")
        self.assertIn("exited (1), restarted 4 times", self.compose("up", "-d", "--wait").stderr)
        self.assertEqual(self.container("app")["state"], "running")


class DaemonEndTest(DaemonTest):
    def test_kill_9_loses_no_request_and_everything_is_found_again(self):
        self.write("name: k\nservices:\n  web:\n    image: busybox\n    init: true\n    restart: always\n"
                   "    command: httpd -f -p 80 -h /etc\n    ports: ['127.0.0.1:18081:80']\n")
        self.compose("up", "-d")
        before = self.container("web")
        failures, requests, stop = [], [0], threading.Event()

        def load():
            while not stop.is_set():
                done = subprocess.run(["curl", "-sS", "-m", str(2 * PATIENCE), "-o", "/dev/null", "http://127.0.0.1:18081/group"],
                                      text=True, capture_output=True)
                requests[0] += 1
                if done.returncode != 0:
                    failures.append(done.stderr)

        thread = threading.Thread(target=load)
        thread.start()
        try:
            time.sleep(0.3 * PATIENCE)
            self.stop_daemon(signal.SIGKILL)
            time.sleep(0.3 * PATIENCE)
            began = time.monotonic()
            self.start_daemon()
            took = time.monotonic() - began
            time.sleep(0.3 * PATIENCE)
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(requests[0], 10 / PATIENCE)
        self.assertLess(took, 1.0 * PATIENCE)
        after = self.container("web")
        self.assertEqual((before["id"], before["pid"]), (after["id"], after["pid"]))
        self.assertEqual(after["state"], "running")

    def test_an_up_that_was_cut_short_is_carried_on(self):
        self.write("""services:
  slow:
    image: busybox
    init: true
    command: sh -c 'sleep 1; touch /tmp/ready; exec sleep 1000'
    healthcheck: {test: test -e /tmp/ready, interval: 100ms, retries: 100}
  after:
    image: busybox
    init: true
    command: sleep 1000
    depends_on: {slow: {condition: service_healthy}}
  last:
    image: busybox
    init: true
    command: sleep 1000
    depends_on: [after]
""")
        up = subprocess.Popen([BIN / "compose", "up", "-d"], cwd=self.project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env={**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock", "COMPOSED_RECONNECT": "0"})
        self.wait_for_state("slow", "running")
        self.stop_daemon(signal.SIGKILL)
        self.assertEqual(up.wait(10), 1)
        self.start_daemon()
        self.wait_for_state("last", "running", 20)
        # It has ended: the next daemon has nothing to carry on with.
        self.compose("stop", "-t", "0", "last")
        self.stop_daemon()
        self.start_daemon()
        self.assertEqual(self.container("after")["state"], "running")
        self.assertEqual(self.container("last")["state"], "exited")

    def test_a_down_and_an_up_at_once_leave_one_of_both_outcomes(self):
        self.write("services:\n  s: {image: busybox, init: true, command: sleep 1000}\n")
        for _ in range(10):
            down = subprocess.Popen([BIN / "compose", "down", "-t", "0"], cwd=self.project, stderr=subprocess.DEVNULL,
                                    env={**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"})
            self.compose("up", "-d", check=False)
            down.wait(20)
        self.assertIsNone(self.daemon.poll())
        self.compose("up", "-d")
        self.assertEqual(self.container("s")["state"], "running")

    def test_an_exit_while_there_is_no_daemon_is_not_lost(self):
        self.write("name: k\nservices:\n  s:\n    image: busybox\n    command: sh -c 'sleep 1; exit 9'\n")
        self.compose("up", "-d")
        self.stop_daemon(signal.SIGKILL)
        time.sleep(1.5)
        self.start_daemon()
        self.assertEqual(self.wait_for_state("s", "exited")["exit_code"], 9)

    def test_a_client_that_looks_on_is_told(self):
        self.write("services:\n  s: {image: busybox, init: true, command: sleep 1000}\n")
        self.compose("up", "-d")
        follower = subprocess.Popen([BIN / "compose", "logs", "-f"], cwd=self.project, text=True, stderr=subprocess.PIPE,
                                    env={**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"})
        time.sleep(0.3)
        self.stop_daemon(signal.SIGKILL)
        self.assertEqual(follower.stderr.readline(), "warning: composed has gone away; waiting for it to come back\n")
        self.assertRegex(follower.communicate(timeout=40)[1], "^composed .*ended the connection")
        self.assertEqual(follower.returncode, 1)

    def test_a_second_daemon_on_the_state_is_refused(self):
        second = subprocess.run([BIN / "composed", "--instance", self.instance, "--state", self.state, "--run",
                                 self.folder / "other", "--config", "/dev/null"], text=True, capture_output=True, timeout=10)
        self.assertEqual(second.returncode, 1)
        self.assertIn("another composed uses it", second.stderr)

    def test_a_configuration_that_cannot_be_is_told_at_once(self):
        for text, message in (("registries: {mirrors: {docker.io: ['ftp://x']}}", '"ftp://x" of docker.io is no http:// or https:// address'),
                              ("logs: 3", "logs must be a mapping"), ("[a]", "the file must be a mapping"),
                              ("instnce: x", 'unknown key "instnce"'), ("networks: [", "bad.yaml:1")):
            with self.subTest(text):
                (self.folder / "bad.yaml").write_text(text)
                refused = subprocess.run([BIN / "composed", "--instance", self.instance, "--config", self.folder / "bad.yaml", "--state",
                                          self.folder / "other", "--run", self.folder / "other-run"], text=True, capture_output=True, timeout=10)
                self.assertEqual(refused.returncode, 1)
                self.assertIn(message, refused.stderr)

    def test_an_instance_whose_names_are_others_is_refused(self):
        for name in "nat", "docker", "", "../x", "a/b", "A", "1a", "a" * 33:
            done = subprocess.run([BIN / "composed", "--instance", name, "--state", self.folder / "other", "--run", self.folder / "other",
                                   "--config", "/dev/null"], text=True, capture_output=True, timeout=10)
            self.assertEqual(done.returncode, 1, name)
            self.assertIn(f'instance "{name}"', done.stderr)
            self.assertFalse((self.folder / "other").exists())


class MistakeTest(DaemonTest):
    def refused(self, text, *expected, arguments=("up", "-d")):
        self.write(text)
        done = self.compose(*arguments, check=False)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        for part in expected:
            self.assertIn(part, done.stderr)

    def test_an_unknown_key_is_named_with_its_place_and_the_nearest_key(self):
        self.refused("services:\n  web:\n    image: busybox\n    prots: ['80']\n",
                     "compose.yaml:4:5: services.web.prots", 'did you mean "ports"?')

    def test_bad_yaml_is_named_with_its_place(self):
        self.refused("services:\n  web: [unclosed\n", "compose.yaml:", "not YAML")

    def test_a_circle_of_dependencies_is_shown(self):
        self.refused("services:\n  a: {image: busybox, depends_on: [b]}\n  b: {image: busybox, depends_on: [a]}\n",
                     "dependency cycle detected: a -> b -> a")

    def test_all_mistakes_are_told_at_once(self):
        self.refused("services:\n  a: {image: busybox, tty: maybe}\n  b: {imagee: x}\n", "services.a.tty", "services.b.imagee")

    def test_what_cannot_be_done_yet_is_told_with_its_place(self):
        self.refused("services:\n  a:\n    image: busybox\n    logging: {driver: gelf}\n  b: {build: .}\n",
                     'compose.yaml:4:23: services.a.logging.driver: "gelf" is not supported', "compose.yaml:5:")

    def test_a_taken_port_is_named_with_its_holder(self):
        with socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
            self.refused(f"name: p\nservices:\n  web: {{image: busybox, command: sleep 100, ports: ['127.0.0.1:{port}:80']}}\n",
                         f"127.0.0.1:{port}/tcp", f"(pid {os.getpid()})")

    def test_an_address_that_is_not_the_hosts_is_named(self):
        self.refused("name: p\nservices: {a: {image: busybox, command: sleep 9, ports: ['192.0.2.7:18080:80']}}\n",
                     "192.0.2.7:18080/tcp", "this host has no address 192.0.2.7")

    def test_a_subnet_that_would_cut_the_host_off_is_refused(self):
        for subnet, why in ("127.0.0.0/16", "127.0.0.0/8"), ("224.1.0.0/16", "224.0.0.0/3"), ("0.0.0.0/4", "0.0.0.0/8"):
            self.refused("name: p\nservices: {a: {image: busybox, command: sleep 9}}\n"
                         f"networks: {{default: {{ipam: {{config: [{{subnet: {subnet}}}]}}}}}}\n", subnet, why)
        link = f"x{os.getpid() % 100000}"
        self.addCleanup(subprocess.run, ["ip", "link", "del", link])
        for command in f"ip link add {link} type bridge", f"ip addr add 198.18.9.1/24 dev {link}":
            subprocess.run(command.split(), check=True)
        time.sleep(1.1)  # the surroundings are looked at once a second
        self.refused("name: p\nservices: {a: {image: busybox, command: sleep 9}}\n"
                     "networks: {default: {ipam: {config: [{subnet: 198.18.0.0/16}]}}}\n", "198.18.9.1", "an address of this host")

    def test_a_missing_bind_source_is_named(self):
        self.refused("name: p\nservices:\n  web:\n    image: busybox\n    command: sleep 100\n    volumes:\n"
                     "      - {type: bind, source: ./none, target: /x, bind: {create_host_path: false}}\n",
                     "/project/none", "does not exist")

    def test_a_missing_command_is_told(self):
        self.refused("name: p\nservices:\n  web: {image: busybox, command: no-such-program}\n", "no-such-program")

    def test_a_missing_command_under_an_init_is_told_in_the_log(self):
        self.write("name: p\nservices:\n  web: {image: busybox, init: true, command: no-such-program}\n")
        self.compose("up", "-d")
        self.wait_for_state("web", "exited")
        self.assertEqual(self.container("web")["exit_code"], 127)
        self.assertIn('exec "no-such-program": No such file or directory', self.compose("logs").stdout)

    def test_nonsense_at_the_api_is_an_error_and_harms_nothing(self):
        for body in ("{", "[]", '{"name": 3}', '{"name":"x","services":{"a":{"name":"b"}}}', "\0\0"):
            answer = self.api("/projects/x", "PUT", body)
            self.assertEqual(answer["kind"], "invalid", answer)
        self.assertEqual(self.api("/nothing")["kind"], "not_found")
        self.assertTrue(self.api("/ping")["ok"])

    def test_an_unknown_command_is_told_with_the_nearest(self):
        done = self.compose("pss", check=False)
        self.assertEqual((done.returncode, done.stderr), (1, 'unknown command "pss", did you mean "ps"?; see: compose --help\n'))
        self.assertEqual(self.compose().stdout.splitlines()[1], "Usage: compose [OPTIONS] SUBCOMMAND")

    def test_no_daemon_is_told_with_what_to_do(self):
        done = self.compose("ls", check=False, env={"COMPOSED_HOST": "unix:///nowhere/composed.sock"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("Cannot connect to composed at unix:///nowhere/composed.sock. Is it running?", done.stderr)


class ManyTest(DaemonTest):
    def test_thirty_of_one_service_then_one(self):
        text = "name: m\nservices:\n  s: {image: busybox, init: true, command: sleep 1000, scale: %d}\n"
        self.write(text % 30)
        self.compose("up", "-d")
        found = self.containers("s")
        self.assertEqual(len({each["networks"]["m_default"] for each in found}), 30)
        self.assertEqual({each["state"] for each in found}, {"running"})
        self.write(text % 1)
        self.compose("up", "-d")
        self.assertEqual([each["number"] for each in self.containers("s")], [1])

    def test_a_process_that_ends_at_once_is_recorded_every_time(self):
        self.write("name: m\nservices:\n  s: {image: busybox, command: 'true', scale: 50}\n")
        self.compose("up", "-d")
        wait_until(lambda: all(each["state"] == "exited" for each in self.containers()), 20, "all to have ended")
        self.assertEqual({each["exit_code"] for each in self.containers()}, {0})
        self.assertEqual(len(self.containers()), 50)

    def test_udp_reaches_a_published_port(self):
        self.write("name: u\nservices:\n  s:\n    image: busybox\n    init: true\n    command: /udp_echo 53\n"
                   f"    volumes: ['{BIN}/udp_echo:/udp_echo:ro']\n    ports: ['127.0.0.1:18053:53/udp']\n")
        self.compose("up", "-d")

        def ask():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(0.5)
                client.sendto(b"ping", ("127.0.0.1", 18053))
                try:
                    return client.recv(100)
                except OSError:
                    return b""

        self.assertEqual(wait_until(ask, 5, "an answer"), b"ping")


if __name__ == "__main__":
    unittest.main()
