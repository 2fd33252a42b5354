"""A stack over several definitions: what `down` takes along, profiles, changed networks, orders that meet, `up --wait`."""
import json
import os
import re
import signal
import subprocess
import threading
import time
import unittest

from harness import BIN, DaemonTest, wait_until

SLEEP = "image: busybox, init: true, command: sleep 1000"


class DownTest(DaemonTest):
    def networks(self):
        """Bridges of this instance, as the host sees them."""
        shown = subprocess.run(["ip", "-br", "link"], text=True, capture_output=True, check=True).stdout
        return [line.split()[0] for line in shown.splitlines() if line.startswith(f"b{self.tag()}-")]

    def volumes(self):
        folder = self.state / "volume"
        return sorted(each.name for each in folder.iterdir()) if folder.exists() else []

    def test_what_a_later_file_no_longer_has_goes_too(self):
        self.write(f"name: d\nservices:\n  s: {{{SLEEP}, networks: [a, b], volumes: ['v:/v', 'w:/w']}}\n"
                   "networks: {a: , b: }\nvolumes: {v: , w: }\n")
        self.compose("up", "-d")
        self.write(f"name: d\nservices:\n  s: {{{SLEEP}, networks: [a], volumes: ['w:/w']}}\n"
                   "networks: {a: }\nvolumes: {w: {external: true, name: d_w}}\n")
        self.compose("up", "-d")
        self.assertEqual(len(self.networks()), 2)
        down = self.compose("down", "-v", "-t", "0")
        wait_until(lambda: not self.networks(), 5, "the networks to go")
        # One is somebody else's, says the file; of the other it says nothing, as for Docker Compose.
        self.assertEqual(self.volumes(), ["d_v", "d_w"])
        self.assertIn("compose volume rm d_v", down.stdout + down.stderr)
        self.assertNotIn("rm d_w", down.stdout + down.stderr)
        self.assertEqual(self.compose("volume", "rm", "d_v").stdout, "d_v\n")
        self.assertEqual(self.volumes(), ["d_w"])

    def test_volumes_go_by_the_file_as_it_is_now(self):
        text = f"name: d\nservices:\n  s: {{{SLEEP}, volumes: ['v:/v', 'w:/w', /x]}}\nvolumes: {{v: , w: }}\n"
        self.write(text)
        self.compose("up", "-d")
        self.write(f"name: d\nservices:\n  s: {{{SLEEP}, volumes: ['w:/w']}}\nvolumes: {{w: }}\n")
        down = self.compose("down", "-v", "-t", "0")
        self.assertEqual(self.volumes(), ["d_v"])
        self.assertIn("compose volume rm d_v", down.stdout + down.stderr)
        # Without a file what was brought up last is what counts; without that too, what bears the project's name.
        self.write(text)
        self.compose("up", "-d")
        self.write(f"name: d\nservices:\n  s: {{{SLEEP}, volumes: ['w:/w']}}\nvolumes: {{w: }}\n")
        self.compose("up", "-d")
        self.write("what: [")
        self.assertNotEqual(self.compose("down", "-v", check=False).returncode, 0)
        self.assertIn("those that were brought up last", self.compose("-p", "d", "down", "-v", "-t", "0").stderr)
        self.assertEqual([each for each in self.volumes() if "_" in each], ["d_v"])
        (self.project / "compose.yaml").unlink()
        self.compose("-p", "d", "down", "-v", "-t", "0")
        self.assertEqual(self.volumes(), [])

    def test_volumes_can_be_removed_after_the_rest(self):
        self.write(f"name: d\nservices:\n  s: {{{SLEEP}, volumes: ['v:/v']}}\nvolumes: {{v: }}\n")
        self.compose("up", "-d")
        self.compose("down", "-t", "0")
        self.assertEqual(self.volumes(), ["d_v"])
        self.compose("down", "-v")
        self.assertEqual(self.volumes(), [])
        self.assertIn("No resource found to remove", self.compose("down").stderr)

    def test_orphans_stay_unless_asked(self):
        self.write(f"name: d\nservices:\n  a: {{{SLEEP}}}\n  b: {{{SLEEP}}}\n")
        self.compose("up", "-d")
        self.write(f"name: d\nservices:\n  a: {{{SLEEP}}}\n")
        self.assertIn("Found orphan containers ([d-b-1])", self.compose("up", "-d").stderr)
        self.assertIn("still in use", self.compose("down", "-t", "0").stderr)
        self.assertEqual(self.container("b")["state"], "running")
        self.assertIn("d", self.compose("ls", "-q").stdout)
        self.compose("down", "--remove-orphans", "-t", "0")
        self.assertEqual(self.containers(), [])
        self.assertEqual(self.compose("ls", "-a", "-q").stdout, "")


class ProfileTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.write(f"name: d\nservices:\n  a: {{{SLEEP}}}\n  tool: {{{SLEEP}, profiles: [debug]}}\n")
        self.compose("--profile", "debug", "up", "-d")

    def test_a_service_that_is_off_is_no_orphan(self):
        again = self.compose("up", "-d", "--remove-orphans")
        self.assertNotIn("orphan", again.stderr)
        self.assertEqual(self.container("tool")["state"], "running")

    def test_it_can_be_stopped_and_goes_with_the_stack(self):
        self.compose("up", "-d")
        self.compose("stop", "-t", "0", "tool")
        self.assertEqual(self.container("tool")["state"], "exited")
        self.compose("start", "tool")
        self.assertEqual(self.container("tool")["state"], "running")
        self.compose("down", "-t", "0")
        self.assertEqual(self.containers(), [])


class HandoverTest(DaemonTest):
    """A name, a port of the host or an address goes from one service to another."""

    HELD = "{%s, container_name: mine, ports: ['127.0.0.1:18471:80'], networks: {default: {ipv4_address: 10.74.0.9}}}" % SLEEP
    NETWORK = "networks: {default: {ipam: {config: [{subnet: 10.74.0.0/24}]}}}\n"

    def setUp(self):
        super().setUp()
        self.write(f"name: d\nservices:\n  a: {self.HELD}\n{self.NETWORK}")
        self.compose("up", "-d")

    def test_a_service_with_another_name_takes_over_what_the_old_one_had(self):
        self.write(f"name: d\nservices:\n  b: {self.HELD}\n{self.NETWORK}")
        self.compose("up", "-d", "--remove-orphans")
        found, = self.containers()
        self.assertEqual((found["service"], found["name"], found["state"]), ("b", "mine", "running"))

    def test_what_an_orphan_has_is_not_taken_from_it(self):
        self.write(f"name: d\nservices:\n  b: {self.HELD}\n{self.NETWORK}")
        refused = self.compose("up", "-d", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn('container name "mine" is in use by service "a" of project "d"', refused.stderr)
        self.assertEqual(self.container("a")["state"], "running")

    def test_two_services_exchange_what_they_have(self):
        other = self.HELD.replace("mine", "yours").replace("18471", "18472").replace("0.9", "0.8")
        self.write(f"name: d\nservices:\n  a: {self.HELD}\n  b: {other}\n{self.NETWORK}")
        self.compose("up", "-d")
        self.write(f"name: d\nservices:\n  a: {other}\n  b: {self.HELD}\n{self.NETWORK}")
        self.compose("up", "-d")
        self.assertEqual({each["name"]: (each["service"], each["state"]) for each in self.containers()},
                         {"mine": ("b", "running"), "yours": ("a", "running")})


class ChangeTest(DaemonTest):
    def test_a_changed_network_is_made_anew(self):
        def with_subnet(subnet):
            self.write(f"name: d\nservices:\n  s: {{{SLEEP}}}\n"
                       f"networks: {{default: {{ipam: {{config: [{{subnet: {subnet}}}]}}}}}}\n")
            self.compose("up", "-d")
            return self.container("s")["networks"]["d_default"]

        self.assertTrue(with_subnet("10.213.1.0/24").startswith("10.213.1."))
        self.assertTrue(with_subnet("10.213.2.0/24").startswith("10.213.2."))
        self.assertEqual(self.compose("exec", "s", "true").returncode, 0)

    def test_nothing_is_taken_down_for_a_network_that_cannot_be(self):
        text = f"""name: d
services:
  s: {{{SLEEP}, networks: {{default: {{%s}}}}%s}}
  t: {{{SLEEP}, networks: [other]}}
networks: {{default: {{%s}}, other: {{ipam: {{config: [{{subnet: 10.215.1.0/24}}]}}}}}}
volumes: {{v: {{driver_opts: {{type: tmpfs}}}}}}
"""
        subnet = "ipam: {config: [{subnet: 10.214.%s.0/24}]}"
        self.write(text % ("", "", subnet % 1))
        self.compose("up", "-d")
        before = {each["service"]: each["pid"] for each in self.containers()}
        for wanted, words in {("", "", "ipam: {config: [{subnet: 10.215.0.0/16}]}"): 'overlaps 10.215.1.0/24 of network "d_other"',
                              ("", "", "driver: macvlan, driver_opts: {parent: nowhere0}"): 'no interface "nowhere0"',
                              ("", "", "driver: macvlan, driver_opts: {parent: nowhere0.7}"): 'and no "nowhere0" to make it on',
                              ("", "", "driver_opts: {com.docker.network.bridge.name: lo}"): '"lo" is an interface of this host and no bridge',
                              ("", ", volumes: ['v:/v']", subnet % 2): "volume \"d_v\": driver_opts.device is missing",
                              ("ipv4_address: 10.214.9.9", "", "driver_opts: {com.docker.network.driver.mtu: '1400'}"): "10.214.9.9 is not in"}.items():
            self.write(text % wanted)
            refused = self.compose("up", "-d", "-t", "0", check=False)
            self.assertEqual(refused.returncode, 1, wanted)
            self.assertIn(words, refused.stderr)
            self.assertEqual({each["service"]: each["pid"] for each in self.containers()}, before, wanted)
        # What goes with it is in nobody's way.
        self.write(text % ("ipv4_address: 10.214.1.9", "", "internal: true, " + subnet % 1))
        self.compose("up", "-d", "-t", "0")
        self.assertEqual(self.container("s")["networks"]["d_default"], "10.214.1.9")

    def test_other_names_of_networks_and_volumes_make_their_containers_anew(self):
        text = f"name: d\nservices:\n  s: {{{SLEEP}, volumes: ['v:/v']}}\n  t: {{{SLEEP}, networks: [back]}}\nnetworks: {{default: {{%s}}, back: }}\nvolumes: {{v: {{%s}}}}\n"
        self.write(text % ("", ""))
        self.compose("up", "-d")
        before = self.container("t")["id"]
        self.write(text % ("name: Other", ""))
        self.compose("up", "-d", "-t", "0")
        self.assertEqual(list(self.container("s")["networks"]), ["Other"])
        self.write(text % ("name: Other", "name: other"))
        self.compose("up", "-d", "-t", "0")
        self.assertEqual(self.compose("volumes", "-q", "s").stdout, "other\n")
        self.assertEqual(self.container("t")["id"], before)

    def test_an_orphan_on_a_changed_network_is_taken_along_by_its_flag(self):
        text = "name: d\nservices:\n  s: {%s}\n%snetworks: {default: {ipam: {config: [{subnet: 10.216.%d.0/24}]}}}\n"
        self.write(text % (SLEEP, f"  old: {{{SLEEP}}}\n", 1))
        self.compose("up", "-d")
        self.write(text % (SLEEP, "", 2))
        refused = self.compose("up", "-d", "-t", "0", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn('container "d-old-1", whose service the file has no more, is on it; take it along with --remove-orphans', refused.stderr)
        self.compose("up", "-d", "-t", "0", "--remove-orphans")
        self.assertEqual([each["service"] for each in self.containers()], ["s"])

    def test_a_changed_network_with_a_guest_stays_as_it_is(self):
        text = "name: host\nservices:\n  a: {image: busybox, init: true, command: sleep 1000}\nnetworks: {default: {ipam: {config: [{subnet: 10.74.%d.0/24}]}}}\n"
        self.write(text % 7)
        self.compose("up", "-d")
        self.write("name: guest\nservices:\n  g: {image: busybox, init: true, command: sleep 1000}\n"
                   "networks: {default: {external: true, name: host_default}}\n", "guest.yaml")
        self.compose("-f", "guest.yaml", "up", "-d")
        before = self.container("a")["pid"]
        self.write(text % 8)
        refused = self.compose("up", "-d", "-t", "0", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn('network "host_default" has changed in the file and container "guest-g-1" of another project is on it', refused.stderr)
        self.assertEqual(self.container("a")["pid"], before)
        self.compose("-p", "guest", "down", "-t", "0")
        self.compose("up", "-d", "-t", "0")
        self.assertNotEqual(self.container("a")["pid"], before)

    def test_a_changed_network_does_not_wait_for_what_run_has_left(self):
        text = "name: d\nservices:\n  s: {image: busybox, init: true, command: sleep 1000}\nnetworks: {default: {ipam: {config: [{subnet: 10.75.%d.0/29}]}}}\n"
        self.write(text % 1)
        self.compose("up", "-d")
        for _ in range(8):  # more than there are addresses
            self.compose("run", "-T", "s", "true")
        own = lambda: next(each for each in self.containers("s") if not each["one_off"])
        before = own()["pid"]
        self.compose("run", "-d", "--name", "busy", "s", "sleep", "1000")
        self.write(text % 2)
        refused = self.compose("up", "-d", "-t", "0", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn('container "busy", made by `run` or a schedule, is on it; remove that container first', refused.stderr)
        self.assertEqual(own()["pid"], before)
        os.kill(next(each["pid"] for each in self.containers("s") if each["name"] == "busy"), 9)
        wait_until(lambda: self.compose("up", "-d", "-t", "0", check=False).returncode == 0, 10, "the network to be made anew")
        self.assertNotEqual(own()["pid"], before)
        self.assertTrue(own()["networks"]["d_default"].startswith("10.75.2."))

    def test_a_volume_of_another_project_is_told(self):
        for name in "one", "two":
            self.write(f"name: {name}\nservices:\n  s: {{{SLEEP}, volumes: ['v:/v']}}\nvolumes: {{v: {{name: shared}}}}\n")
            told = self.compose("up", "-d").stderr
            self.assertEqual('volume "shared" is of project "one", whose data this is; say so with volumes.v: {external: true, name: shared}' in told, name == "two")
        for name in "two", "one":
            self.compose("-p", name, "down", "-t", "0")

    def test_changed_options_of_a_volume_are_told(self):
        self.write(f"name: d\nservices:\n  s: {{{SLEEP}, volumes: ['v:/v']}}\nvolumes: {{v: }}\n")
        self.compose("up", "-d")
        self.write(f"name: d\nservices:\n  s: {{{SLEEP}, volumes: ['v:/v']}}\n"
                   "volumes: {v: {driver_opts: {type: tmpfs, device: tmpfs}}}\n")
        self.assertIn('volume "d_v" keeps the driver_opts', self.compose("up", "-d").stderr)


class OrderTest(DaemonTest):
    def at_once(self, *commands):
        done = [None] * len(commands)

        def run(index):
            done[index] = self.compose(*commands[index], check=False)

        threads = [threading.Thread(target=run, args=(index,)) for index in range(len(commands))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [(each.returncode, each.stderr if each.returncode else "") for each in done]

    def test_two_of_a_kind_both_succeed(self):
        self.write("name: d\nservices:\n" + "".join(f"  s{i}: {{{SLEEP}}}\n" for i in range(6)))
        self.assertEqual(self.at_once(("up", "-d"), ("up", "-d"), ("up", "-d", "s1")), [(0, "")] * 3)
        self.assertEqual(len(self.containers()), 6)
        self.assertEqual(self.at_once(("restart", "-t", "0", "s1"), ("restart", "-t", "0", "s2")), [(0, "")] * 2)
        self.assertEqual(self.at_once(("stop", "-t", "0", "s1"), ("stop", "-t", "0", "s2")), [(0, "")] * 2)
        self.assertEqual({each["state"] for each in self.containers("s1") + self.containers("s2")}, {"exited"})

    def test_an_up_that_waits_gives_way_to_what_is_asked_next(self):
        def with_check(test):
            self.write(f"name: d\nservices:\n  db: {{{SLEEP}, healthcheck: {{test: [CMD, 'false'], interval: 1s, retries: 1000}}}}\n"
                       f"  web: {{{SLEEP}, depends_on: {{db: {{condition: {test}}}}}}}\n")

        with_check("service_healthy")
        first = []
        waiting = threading.Thread(target=lambda: first.append(self.compose("up", "-d", check=False)))
        waiting.start()
        self.wait_for_state("db", "running")
        with_check("service_started")
        self.compose("up", "-d")
        waiting.join()
        self.assertEqual(first[0].returncode, 1)
        self.assertIn("has given way to a later `up`", first[0].stderr)
        self.assertEqual(self.container("web")["state"], "running")


    def test_an_up_while_a_down_is_under_way_is_what_counts(self):
        self.write("name: d\nservices:\n  s: {image: busybox, command: sh -c 'trap \"\" TERM; while :; do sleep 1; done', stop_grace_period: 1s, restart: always}\n")
        self.compose("up", "-d")
        down = threading.Thread(target=lambda: self.compose("down"))
        down.start()
        wait_until(lambda: '"Stopping"' in (self.folder / "log").read_text() or "Stopping" in (self.folder / "log").read_text(), 5, "the down to begin")
        self.compose("up", "-d")
        down.join()
        self.assertEqual(self.compose("ls", "-q").stdout, "d\n")
        self.assertEqual(self.container("s")["state"], "running")
        self.assertIn("1", self.compose("history").stdout)
        self.stop_daemon()
        self.start_daemon()
        self.assertEqual(self.compose("ls", "-q").stdout, "d\n")
        self.compose("down", "-t", "0")
        self.assertEqual(self.containers(), [])

    def test_an_interrupt_ends_an_up_in_the_background(self):
        self.write(f"name: d\nservices:\n  db: {{{SLEEP}, healthcheck: {{test: [CMD, 'false'], interval: 1s, retries: 1000}}}}\n"
                   f"  web: {{{SLEEP}, depends_on: {{db: {{condition: service_healthy}}}}}}\n")
        for flags in ("-d",), ("--wait",):
            client = subprocess.Popen([BIN / "compose", "up", *flags], cwd=self.project, stderr=subprocess.DEVNULL,
                                      env={**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"})
            self.wait_for_state("db", "running")
            client.send_signal(signal.SIGINT)
            self.assertEqual(client.wait(3), -signal.SIGINT)
        self.assertEqual(self.container("db")["state"], "running", "the daemon carries on")

    def test_events_tell_what_happens_to_the_stack(self):
        self.write(f"name: d\nservices:\n  a: {{{SLEEP}, restart: always, labels: {{own: label}}}}\n  b: {{{SLEEP}}}\n")
        self.compose("up", "-d")
        streams = [subprocess.Popen([BIN / "compose", "events", *flags], cwd=self.project, stdout=subprocess.PIPE, text=True,
                                    env={**os.environ, "COMPOSED_HOST": f"unix://{self.run_folder}/composed.sock"})
                   for flags in ((), ("--json", "a"))]
        time.sleep(0.5)
        os.kill(self.container("a")["pid"], signal.SIGKILL)
        wait_until(lambda: self.container("a")["restart_count"] == 1 and self.container("a")["state"] == "running", 5, "the restart")
        self.compose("stop", "-t", "0", "b", "a")
        time.sleep(0.5)
        told = []
        for stream in streams:
            stream.send_signal(signal.SIGINT)
            told.append(stream.communicate(timeout=5)[0].splitlines())
        of_a = re.escape(self.container("a")["id"])
        self.assertRegex(told[0][0], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} container die " + of_a
                         + r" \(exitCode=137, image=busybox, name=d-a-1, own=label\)$")
        self.assertTrue(any("d-b-1" in line for line in told[0]), told[0])
        events = [json.loads(line) for line in told[1]]
        self.assertEqual({each["service"] for each in events}, {"a"})
        self.assertEqual([each["action"] for each in events], ["die", "start", "kill", "die", "stop"])
        self.assertEqual(list(events[0]), ["action", "attributes", "id", "service", "time", "type"])
        self.assertEqual(events[2]["attributes"], {"image": "busybox", "name": "d-a-1", "own": "label", "signal": "15"})


class WaitTest(DaemonTest):
    def up(self, service, *flags):
        self.write(f"name: d\nservices:\n  s: {{image: busybox, init: true, {service}}}\n")
        return self.compose("up", "-d", "--wait", *flags, check=False)

    def test_one_that_runs_is_waited_for(self):
        self.assertEqual(self.up("command: sleep 1000").returncode, 0)

    def test_one_that_ends_is_a_failure(self):
        done = self.up("command: sh -c 'sleep 0.3; exit 4'")
        self.assertEqual((done.returncode, "container d-s-1 exited (4)" in done.stderr), (1, True), done.stderr)

    def test_one_that_keeps_ending_is_a_failure(self):
        done = self.up("command: sh -c 'exit 4', restart: always")
        self.assertEqual((done.returncode, "keeps ending: exited (4)" in done.stderr), (1, True), done.stderr)

    def test_the_time_can_be_limited(self):
        done = self.up("command: sleep 1000, healthcheck: {test: 'false', interval: 60s}", "--wait-timeout", "1")
        self.assertEqual((done.returncode, "timeout: container d-s-1" in done.stderr), (1, True), done.stderr)
        self.write(f"name: d\nservices:\n  db: {{{SLEEP}, healthcheck: {{test: 'false', interval: 60s}}}}\n"
                   f"  s: {{{SLEEP}, depends_on: {{db: {{condition: service_healthy}}}}}}\n")
        done = self.compose("up", "-d", "--wait", "--wait-timeout", "1", check=False)  # with what it waits for on the way
        self.assertEqual((done.returncode, "timeout: container d-db-1" in done.stderr), (1, True), done.stderr)

    def test_a_one_shot_that_others_wait_for_is_good_when_it_has_succeeded(self):
        self.write(f"name: d\nservices:\n  job: {{image: busybox, command: 'true'}}\n"
                   f"  s: {{{SLEEP}, depends_on: {{job: {{condition: service_completed_successfully}}}}}}\n")
        self.compose("up", "-d", "--wait")


class OptionalDependencyTest(DaemonTest):
    def test_one_that_cannot_start_keeps_nobody_back(self):
        self.write(f"name: d\nservices:\n  db: {{image: busybox, command: /no/such/program}}\n"
                   f"  web: {{{SLEEP}, depends_on: {{db: {{condition: service_started, required: false}}}}}}\n"
                   f"  strict: {{{SLEEP}, depends_on: {{db: {{condition: service_started}}}}}}\n")
        done = self.compose("up", "-d", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn('optional dependency "db" could not be started', done.stderr)
        self.assertEqual(self.container("web")["state"], "running")
        self.assertEqual(self.container("strict")["state"], "created")


class CommandTest(DaemonTest):
    def setUp(self):
        super().setUp()
        self.write(f"name: d\nservices:\n  s: {{{SLEEP}}}\n  loop: {{image: busybox, command: 'false', restart: always}}\n")

    def refused(self, *arguments):
        done = self.compose(*arguments, check=False)
        self.assertEqual(done.returncode, 1, arguments)
        return done.stderr

    def test_a_service_that_there_is_none_of(self):
        self.compose("up", "-d")
        for command in "ps", "pull", "config", "up", "stop", "start", "restart", "kill", "logs":
            self.assertIn("no such service: nope", self.refused(command, "nope"), command)
        self.assertIn("no such service: nope", self.refused("rm", "-f", "nope"))

    def test_kill_ends_a_loop_and_waits_for_the_end(self):
        self.compose("up", "-d")
        self.wait_for_state("loop", "restarting")
        self.compose("kill")
        self.assertEqual({each["state"] for each in self.containers()}, {"exited"})
        time.sleep(1)
        self.assertEqual(self.container("loop")["state"], "exited")
        again = self.compose("kill")
        self.assertIn("no container to kill", again.stderr)

    def test_start_needs_a_container(self):
        self.compose("up", "-d")
        self.compose("rm", "-s", "-f", "s")
        self.assertIn('service "s" has no container to start', self.refused("start", "s"))

    def test_exec_ends_as_a_shell_would(self):
        self.compose("up", "-d", "s")
        for code, program in (127, "/no/such"), (127, "nosuch"), (126, "/etc/passwd"), (126, "/etc"), (3, None):
            words = [program] if program else ["sh", "-c", "exit 3"]
            self.assertEqual(self.compose("exec", "-T", "s", *words, check=False).returncode, code, program)


if __name__ == "__main__":
    unittest.main(verbosity=2)
