"""Updates without loss: deploy.update_config and rollback_config, with requests on their way all the time, by a published port and by
the service's name.
"""
import contextlib
import hashlib
import http.client
import io
import json
import signal
import tarfile
import threading
import time
import unittest

from harness import DaemonTest, busybox_archive, wait_until

PORT = 18381

WEB = """name: roll
services:
  web:
    image: busybox
    init: true
    stop_grace_period: 5s
    command: ["sh", "-c", "mkdir -p /www; echo $$COLOUR > /www/index.html; %(before)s exec httpd -f -p 80 -h /www"]
    environment: {COLOUR: '%(colour)s'}
    ports: ['127.0.0.1:%(ports)s:80']
    healthcheck: {test: wget -q -O /dev/null 127.0.0.1 && %(test)s, interval: 200ms, retries: 3, timeout: 2s}
    deploy:
      replicas: %(replicas)d
      update_config: {%(update)s}
      rollback_config: {monitor: 100ms, parallelism: 0%(rollback)s}
  client:
    image: busybox
    init: true
    depends_on: {web: {condition: service_healthy}}
    command: ["sh", "-c", "while :; do timeout 3 wget -q -O /tmp/got http://web/ && cat /tmp/got || echo lost; done"]
"""


class Load:
    """Asks the port again and again, each time by a new connection."""

    def __init__(self, port=PORT, host="127.0.0.1"):
        self.host, self.port, self.answers, self.lost, self.running = host, port, [], [], True
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        while self.running:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=3)
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = answer.read().decode().strip()
                (self.answers if answer.status == 200 and body else self.lost).append(body)
            except (OSError, http.client.HTTPException) as failure:
                self.lost.append(repr(failure))
            finally:
                connection.close()
            time.sleep(0.002)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.thread.join()


class UpdateTest(DaemonTest):
    def web(self, colour, replicas=1, update="order: start-first, monitor: 300ms", test="true", before="", rollback=""):
        ports = str(PORT) if replicas == 1 else f"{PORT}-{PORT + replicas - 1}"
        self.write(WEB % {"colour": colour, "replicas": replicas, "update": update, "test": test, "before": before,
                          "ports": ports, "rollback": rollback})

    def up(self, *arguments, **more):
        return self.compose("up", "-d", "--wait", *arguments, **more)

    def ids(self):
        return {each["number"]: each["id"] for each in self.containers("web")}

    def colours(self):
        return sorted(self.compose("exec", "--index", str(each["number"]), "web", "cat", "/www/index.html").stdout.strip()
                      for each in self.containers("web"))

    def lost_by_name(self):
        lines = self.compose("logs", "--no-log-prefix", "client").stdout.splitlines()
        return lines.count("lost"), lines

    def whole(self, replicas, colour):
        """What there is is what was asked for, and nothing beside it."""
        found = self.containers("web")
        self.assertEqual(sorted(each["name"] for each in found), [f"roll-web-{n}" for n in range(1, replicas + 1)], found)
        self.assertEqual({each["state"] for each in found}, {"running"})
        self.assertEqual(self.colours(), [colour] * replicas)

    def test_start_first_loses_no_request_by_the_port_nor_by_the_name(self):
        self.web("blue")
        self.up()
        before = self.ids()
        with Load() as load:
            wait_until(lambda: len(load.answers) > 20, 10, "answers")
            for colour in "green", "red":
                self.web(colour)
                self.up()
                wait_until(lambda: load.answers[-1:] == [colour], 5, "the new one's answers")
        self.assertEqual(load.lost, [])
        self.assertEqual(set(load.answers), {"blue", "green", "red"})
        order = [a for a, b in zip(load.answers, [None, *load.answers]) if a != b]
        self.assertEqual(order, ["blue", "green", "red"])  # the port is at one of them at each moment
        lost, lines = self.lost_by_name()
        self.assertEqual(lost, 0, lines[:100])
        self.assertGreaterEqual(set(lines), {"blue", "green", "red"})
        self.assertNotEqual(self.ids(), before)
        self.whole(1, "red")

    def test_two_replicas_one_after_the_other_lose_nothing_either(self):
        self.web("blue", replicas=2)
        self.up()
        with Load() as one, Load(PORT + 1) as other:
            wait_until(lambda: len(one.answers) > 20 and len(other.answers) > 20, 10, "answers")
            self.web("green", replicas=2)
            self.up()
        self.assertEqual(one.lost + other.lost, [])
        lost, lines = self.lost_by_name()
        self.assertEqual(lost, 0, lines[:100])
        self.whole(2, "green")

    def test_as_many_at_a_time_as_asked_and_a_pause_between(self):
        self.web("blue", replicas=3, update="parallelism: 2, delay: 2s, monitor: 100ms")
        self.up()
        before = self.ids()
        self.web("green", replicas=3, update="parallelism: 2, delay: 2s, monitor: 100ms")
        changed = {}

        def watch():
            while len(changed) < 3:
                for number, id in self.ids().items():
                    if id != before[number]:
                        changed.setdefault(number, time.monotonic())
                time.sleep(0.05)
        watcher = threading.Thread(target=watch)
        watcher.start()
        self.up()
        watcher.join(10)
        self.assertLess(abs(changed[1] - changed[2]), 1.5)
        self.assertGreater(changed[3] - max(changed[1], changed[2]), 1.5)
        self.whole(3, "green")

    def test_one_that_never_becomes_healthy_is_rolled_back_and_nothing_is_lost(self):
        good = {"update": "order: start-first, monitor: 200ms, failure_action: rollback"}
        self.web("blue", **good)
        self.up()
        before = self.ids()
        with Load() as load:
            self.web("green", test="false", before="echo the cat ate the keyboard;", **good)
            done = self.up(check=False)
        self.assertEqual(done.returncode, 1)
        for part in "is unhealthy", "the cat ate the keyboard", "rolled back to revision 1":
            self.assertIn(part, done.stderr)
        self.assertEqual(load.lost, [])
        self.assertEqual(set(load.answers), {"blue"})
        self.assertEqual(self.ids(), before)
        self.whole(1, "blue")
        newest = self.api("/projects/roll/revisions")
        self.assertEqual([each.get("failed", False) for each in newest], [False, True, False])
        self.assertEqual(newest[-1]["back_to"], 1)
        self.assertIn("rolled back to 1", self.compose("history").stdout)
        # Neither the next daemon nor anybody else tries it again.
        self.stop_daemon(signal.SIGKILL)
        self.start_daemon()
        time.sleep(0.5)
        self.assertEqual(self.ids(), before)
        self.assertNotIn("false", self.api("/projects/roll")["definition"]["services"]["web"]["health"]["test"])

    def test_containers_that_an_update_has_added_are_in_nobodys_way_when_it_goes_back(self):
        stack = ("name: roll\nservices:\n"
                 "  web: {image: busybox, init: true, command: sleep 1000, environment: {COLOUR: '%s'}, healthcheck: {test: '%s', interval: 200ms, retries: 2},"
                 " stop_grace_period: 0s, deploy: {replicas: %d, update_config: {order: start-first, parallelism: 1, monitor: 200ms, failure_action: rollback}}}\n"
                 "  client: {image: busybox, init: true, command: sleep 1000, stop_grace_period: 0s,"
                 " depends_on: {web: {condition: service_healthy, restart: true}}}\n")
        self.write(stack % ("blue", "true", 1))
        self.compose("up", "-d", "--wait")
        self.write(stack % ("green", "false", 3))
        done = self.compose("up", "-d", "--wait", check=False)
        self.assertIn("rolled back to revision 1", done.stderr)
        self.assertNotIn("going back to revision 1 has failed", done.stderr)
        self.assertEqual({each["name"]: each["state"] for each in self.containers()}, {"roll-web-1": "running", "roll-client-1": "running"})

    def test_a_request_under_way_gets_its_answer_from_the_old_one(self):
        slow = "mkdir -p /www/cgi-bin; printf '#!/bin/sh\\nsleep 4; echo; echo whole' > /www/cgi-bin/slow; chmod +x /www/cgi-bin/slow;"
        self.web("blue", before=slow)
        self.up()
        answers = []

        def ask():
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
            connection.request("GET", "/cgi-bin/slow")
            answers.append(connection.getresponse().read().decode().strip())
        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.2)
        self.web("green")
        self.up()
        asking.join()
        self.assertEqual(answers, ["whole"])
        self.whole(1, "green")

    def test_ports_on_ipv6_go_over_too(self):
        text = """name: roll
services:
  web:
    image: busybox
    init: true
    command: ["sh", "-c", "mkdir -p /www; echo $$COLOUR > /www/index.html; exec httpd -f -p 80 -h /www"]
    environment: {COLOUR: %s}
    ports: ['[::1]:%d:80']
    healthcheck: {test: wget -q -O /dev/null 127.0.0.1, interval: 200ms, timeout: 2s}
    deploy: {update_config: {order: start-first, monitor: 100ms}}
"""
        self.write(text % ("blue", PORT))
        self.up()
        with Load(host="::1") as load:
            for colour in "green", "blue", "red":
                self.write(text % (colour, PORT))
                self.up()
                wait_until(lambda: load.answers[-1:] == [colour], 5, "the new one's answers")
        self.assertEqual(load.lost, [])
        order = [a for a, b in zip(load.answers, [None, *load.answers]) if a != b]
        self.assertEqual(order, ["blue", "green", "blue", "red"])

    def test_what_was_replaced_already_comes_back(self):
        update = "parallelism: 1, monitor: 4s, failure_action: rollback"
        self.web("blue", replicas=2, update=update)
        self.up()
        # It ends by itself once it has come up.
        self.web("green", replicas=2, update=update, before="sleep 1 & (sleep 2; echo good night; kill 1) &")
        done = self.up(check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("good night", done.stderr)
        self.assertIn("rolled back to revision 1", done.stderr)
        self.whole(2, "blue")

    def test_an_update_that_pauses_leaves_the_others_as_they_are(self):
        for order in "stop-first", "start-first":
            with self.subTest(order):
                update = f"order: {order}, monitor: 100ms"
                self.web("blue", replicas=2, update=update)
                self.up()
                before = self.ids()
                self.web("green", replicas=2, update=update, before="echo no; exit 3;")
                done = self.up(check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn("exited (3)", done.stderr)
                self.assertIn("the update stops there", done.stderr)
                after = self.ids()
                self.assertEqual(after[2], before[2])
                self.assertEqual(after[1] == before[1], order == "start-first")
                self.web("blue", replicas=2, update=update)
                self.up()
                self.whole(2, "blue")

    def test_an_update_that_goes_on_says_at_its_end_what_has_failed(self):
        once = "if mkdir /shared/first; then echo first; exit 4; fi;"
        for ratio, code in ("0", 1), ("0.5", 0):
            with self.subTest(ratio):
                update = f"failure_action: continue, monitor: 100ms, max_failure_ratio: {ratio}"
                self.web("blue", replicas=2, update=update)
                self.share()
                self.up()
                self.web("green", replicas=2, update=update, before=once)
                self.share()
                done = self.compose("up", "-d", check=False)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn("exited (4)", done.stderr)
                states = {each["number"]: each["state"] for each in self.containers("web")}
                self.assertEqual(states, {1: "exited", 2: "running"})
                self.compose("down", "-v", "-t", "0")

    def share(self):
        text = (self.project / "compose.yaml").read_text()
        self.write(text.replace("    deploy:\n", "    volumes: ['shared:/shared']\n    deploy:\n") + "volumes: {shared: }\n")

    def test_a_new_image_under_the_same_name_is_taken_back_too(self):
        update = "order: start-first, monitor: 200ms, failure_action: rollback"
        self.web("blue", replicas=2, update=update, test="test ! -e /broken")
        self.up()
        before = self.ids()
        self.another_image("broken")
        done = self.up(check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("rolled back to revision 1", done.stderr)
        self.assertEqual(self.ids(), before)
        self.whole(2, "blue")
        self.another_image("fine")
        self.up()
        self.assertNotEqual(self.ids(), before)
        self.whole(2, "blue")

    def another_image(self, marker):
        """busybox with one more file, under the name that the other had."""
        with tarfile.open(busybox_archive()) as old:
            manifest = json.load(old.extractfile("manifest.json"))[0]
            config = json.load(old.extractfile(manifest["Config"]))
            layers = {name: old.extractfile(name).read() for name in manifest["Layers"]}
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            tar.addfile(tarfile.TarInfo(marker))
        layers["more.tar"] = layer.getvalue()
        config["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256(layer.getvalue()).hexdigest())
        config.get("history", []).append({"created_by": "more"})
        text = json.dumps(config).encode()
        made = [{"Config": "config.json", "RepoTags": ["busybox:latest"], "Layers": [*manifest["Layers"], "more.tar"]}]
        with tarfile.open(self.folder / "image.tar", "w") as tar:
            for name, content in [("config.json", text), *layers.items(), ("manifest.json", json.dumps(made).encode())]:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        self.compose("load", "-i", str(self.folder / "image.tar"))

    def test_a_daemon_that_is_killed_goes_on_with_the_update(self):
        update = "order: start-first, monitor: 200ms, failure_action: rollback"
        colours = ["blue", "green"]
        self.web("blue", replicas=2, update=update)
        self.up()
        with Load() as load:
            for delay in 0.1, 0.5, 1.0, 1.6, 2.2, 3.0:
                colours.reverse()
                self.web(colours[0], replicas=2, update=update)
                client = threading.Thread(target=self.up, kwargs={"check": False, "env": {"COMPOSED_RECONNECT": "0"}})
                client.start()
                time.sleep(delay)
                self.stop_daemon(signal.SIGKILL)
                client.join()
                self.start_daemon()
                with self.subTest(delay):
                    def done():
                        with contextlib.suppress(AssertionError):
                            self.whole(2, colours[0])
                            return True
                    wait_until(done, 20, f"{colours[0]} everywhere, where there is {self.containers('web')}")
        self.assertEqual(load.lost, [])

    def test_what_cannot_be_there_twice_is_stopped_first_and_that_is_said(self):
        text = """name: roll
services:
  web: {image: busybox, init: true, command: sleep 1000, container_name: only, environment: {ROUND: '%d'},
        deploy: {update_config: {order: start-first, monitor: 100ms}}}
"""
        self.write(text % 1)
        self.up()
        self.write(text % 2)
        done = self.up()
        self.assertIn("start-first has no effect: it has a container_name", done.stderr)
        self.assertEqual([each["name"] for each in self.containers("web")], ["only"])

    def test_a_down_in_the_midst_of_an_update_leaves_nothing(self):
        self.web("blue")
        self.up()
        self.web("green", test="false", update="order: start-first, monitor: 20s")
        client = threading.Thread(target=self.up, kwargs={"check": False})
        client.start()
        wait_until(lambda: len(self.containers("web")) == 2, 5, "the new one beside the old one")
        self.assertEqual({each["name"] for each in self.containers("web")},
                         {"roll-web-1", f"{self.containers('web')[0]['id'][:12]}_roll-web-1"})
        self.compose("down", "-t", "0")
        client.join()
        self.assertEqual(self.containers(), [])

    def test_values_that_mean_nothing_are_told(self):
        for update, said in (("failure_action: explode", 'failure_action: "explode" is not known'),
                             ("max_failure_ratio: 2", "max_failure_ratio: 2 is no share")):
            self.web("blue", update=update)
            done = self.up(check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
