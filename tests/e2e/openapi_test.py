"""api/openapi.yaml against the server: what it answers is what is described, and all of it.

Every operation, every parameter of a query and every status but 500 is asked for: a new one that this file does not
use fails it. Schemas of replies allow no other members, so that one the server adds fails it as well.
"""
import copy
import http.client
import io
import json
import re
import socket
import struct
import subprocess
import tarfile
import time
import unittest
import urllib.parse

import jsonschema
import yaml

from harness import DaemonTest, ROOT, busybox_archive, serve_registry, wait_until

METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")

# Nearly all that a definition can have; only its containers are made.
WIDE = """
x-top: {a: 1}
services:
  wide:
    image: busybox
    init: true
    command: [sleep, "1000"]
    entrypoint: [env]
    environment: {A: null, B: b}
    labels: {l: "1"}
    annotations: {n: "1"}
    container_name: wide-one
    hostname: h
    domainname: d
    user: "0"
    working_dir: /tmp
    stop_signal: SIGINT
    stop_grace_period: 2s
    platform: linux/amd64
    pull_policy: never
    tty: true
    stdin_open: true
    read_only: true
    privileged: true
    ports: ["127.0.0.1:18096:80/udp", {target: 81, name: n, app_protocol: http}]
    expose: ["90"]
    volumes:
      - {type: bind, source: /tmp, target: /b, read_only: true, bind: {create_host_path: false, propagation: rslave}}
      - {type: volume, source: v, target: /v, volume: {nocopy: true}}
      - {type: volume, target: /anonymous, volume: {labels: {l: "1"}}}
      - {type: image, source: busybox, target: /i, image: {subpath: etc}}
      - {type: tmpfs, target: /t, tmpfs: {size: 1m, mode: 0755}}
    tmpfs: ["/run:size=1m"]
    volumes_from: ["other:ro"]
    secrets: [{source: kept, uid: "1", gid: "2", mode: 0400}]
    configs: [kept, {source: text, target: /etc/text}]
    networks: {n: {aliases: [x], ipv4_address: 10.213.7.9, priority: 1}}
    extra_hosts: ["a=127.0.0.1"]
    dns: [127.0.0.1]
    dns_search: [example.invalid]
    dns_opt: ["ndots:1"]
    restart: on-failure:3
    healthcheck: {test: "true", interval: 1s, timeout: 1s, start_period: 1s, start_interval: 1s, retries: 2}
    logging: {driver: json-file, options: {max-size: 1m}}
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    security_opt: ["no-new-privileges:true"]
    depends_on: {other: {condition: service_completed_successfully, required: false}}
    profiles: []
    x-inner: [1]
  other: {image: busybox, network_mode: none, healthcheck: {disable: true}, scale: 2}
networks:
  n:
    internal: true
    attachable: true
    driver: bridge
    labels: {l: "1"}
    ipam: {config: [{subnet: 10.213.7.0/24, gateway: 10.213.7.1, ip_range: 10.213.7.0/25}]}
volumes:
  v: {labels: {l: "1"}, driver: local}
secrets:
  kept: {external: true}
configs:
  kept: {external: true}
  text: {content: text, labels: {l: "1"}}
"""

STACK = """
services:
  web:
    image: busybox
    init: true
    command: httpd -f -p 80
    ports: ["127.0.0.1:18097:80"]
    volumes: ["data:/data"]
    healthcheck: {test: [CMD, "true"], interval: 1s}
  job:
    image: busybox
    init: true
    command: sh -c 'echo out; echo err >&2; exec sleep 1000'
    depends_on: {web: {condition: service_healthy}}
volumes: {data: {}}
"""


def plain(value):
    """A schema of OpenAPI 3.0 as JSON Schema: there, null is a type."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {key: plain(each) for key, each in value.items() if key != "nullable"}
    if value.get("nullable"):
        made["type"] = [made["type"], "null"]
    return made


class Document:
    def __init__(self):
        self.root = plain(yaml.safe_load((ROOT / "api/openapi.yaml").read_text()))
        self.schemas = self.root["components"]["schemas"]
        self.resolver = jsonschema.RefResolver.from_schema(self.root)
        self.operations = {}  # by operationId: method, path, parameters, the rest as it is written
        for path, item in self.root["paths"].items():
            for method in METHODS:
                if method not in item:
                    continue
                operation = copy.copy(item[method])
                parameters = item.get("parameters", []) + operation.get("parameters", [])
                operation.update(method=method.upper(), path=path, parameters=[self.follow(each) for each in parameters])
                self.operations[operation.get("operationId", f"{method} {path}")] = operation

    def follow(self, value):
        while "$ref" in value:
            value = self.resolver.resolve(value["$ref"])[1]
        return value

    def check(self, value, schema):
        """Raises AssertionError that shows what does not fit."""
        validator = jsonschema.Draft4Validator(schema, resolver=self.resolver)
        fault = jsonschema.exceptions.best_match(validator.iter_errors(value))
        if fault:
            where = "/".join(map(str, fault.absolute_path))
            raise AssertionError(f"{where}: {fault.message[:600]}\nin {json.dumps(value)[:2000]}")


def walk(value, path=""):
    """Every mapping of the document with where it is."""
    if isinstance(value, dict):
        yield path, value
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from walk(each, f"{path}/{key}")


def source(name):
    return (ROOT / name).read_text()


class DocumentTest(unittest.TestCase):
    """What can be seen without a server: the document in itself, and beside the sources."""

    @classmethod
    def setUpClass(cls):
        cls.document = Document()
        cls.schemas = cls.document.schemas

    def test_references_resolve_and_nothing_is_left_over(self):
        used = set()
        for path, value in walk(self.document.root):
            if isinstance(value.get("$ref"), str):
                self.assertEqual(set(value), {"$ref"}, f"{path}: what stands beside a $ref does not count")
                self.document.resolver.resolve(value["$ref"])
                used.add(value["$ref"])
        there = {f"#/components/{kind}/{name}" for kind, all in self.document.root["components"].items() for name in all}
        self.assertEqual(there, used)

    def test_operations_are_whole(self):
        ids = [operation.get("operationId") for operation in self.document.operations.values()]
        self.assertNotIn(None, ids)
        declared = sum(method in item for item in self.document.root["paths"].values() for method in METHODS)
        self.assertEqual(len(ids), declared, "an operationId is there twice")
        error = {"$ref": "#/components/responses/Error"}
        for name, operation in self.document.operations.items():
            with self.subTest(name):
                self.assertTrue(operation.get("summary"))
                named = re.findall(r"{(\w+)}", operation["path"])
                parameters = operation["parameters"]
                self.assertEqual(sorted(named), sorted(each["name"] for each in parameters if each["in"] == "path"))
                self.assertEqual(len({each["name"] for each in parameters}), len(parameters))
                for each in parameters:
                    self.assertIn(each["in"], ("path", "query"))
                    self.assertTrue(each["in"] == "query" or each.get("required"), each)
                    self.assertIn("type", each["schema"])
                    self.assertTrue(each.get("description"), each)
                errors = {status: reply for status, reply in operation["responses"].items() if status >= "400"}
                self.assertIn("500", errors)
                self.assertEqual([each for each in errors.values() if each != error], [])
                for reply in map(self.document.follow, operation["responses"].values()):
                    self.assertTrue(reply.get("description"))
                    self.assertTrue("content" in reply or "headers" in reply)

    def test_schemas_are_schemas_and_closed(self):
        for name, schema in self.schemas.items():
            with self.subTest(name):
                jsonschema.Draft4Validator.check_schema(schema)
                for path, each in walk(schema, name):
                    if each.get("type") == "object" and "properties" in each:
                        self.assertIs(each.get("additionalProperties"), False, path)
                        self.assertLessEqual(set(each.get("required", [])), set(each["properties"]), path)
                    elif each.get("type") == "object":
                        self.assertIn("additionalProperties", each, path)
                    if "default" in each and isinstance(each.get("type"), str):
                        self.document.check(each["default"], each)

    def test_routes_are_those_of_the_sources(self):
        routes = set()
        for file in (ROOT / "api/v1").glob("*.cpp"):
            found = re.findall(r'to\.add\(\s*"([A-Z]+)",\s*"([^"]+)"', file.read_text())
            self.assertEqual(len(found), file.read_text().count("to.add("), file.name)
            routes |= {(method, path.replace("...}", "}")) for method, path in found}
        described = {(each["method"], each["path"]) for each in self.document.operations.values()}
        self.assertEqual(routes, described)

    def test_definitions_have_the_members_of_the_model(self):
        members = {}
        for name, body in re.findall(r"void (describe\w*\(Archive& archive, \w+)& value\) {(.*?)\n}",
                                     source("compose/encode/describe.hpp"), re.DOTALL):
            members[name.replace("(Archive& archive,", "")] = set(re.findall(r'archive\("(\w+)"', body))
        members["describe service"] |= members.pop("describe_container service")
        for name, keys in members.items():
            schema = {"describe project": "Definition"}.get(name, name.split()[1].title().replace("_", ""))
            self.assertEqual(set(self.schemas[schema]["properties"]), keys, schema)

    def test_enumerations_are_those_of_the_sources(self):
        def returned(name, function):
            body = re.search(re.escape(function) + r".*?\n}", source(name), re.DOTALL).group()
            return set(re.findall(r'case .*?:\s*return "([^"]+)"', body))

        def values(schema, member):
            return set(self.schemas[schema]["properties"][member]["enum"])

        self.assertEqual(set(self.schemas["ContainerState"]["enum"]),
                         returned("engine/project/plan.cpp", "to_string(run_state"))
        self.assertEqual(values("PlanStep", "action"), returned("engine/project/plan.cpp", "to_string(step_kind"))
        self.assertEqual(values("Container", "health"), returned("engine/container/health.cpp", "to_string(health_status"))
        kinds = re.findall(r'{error_kind::\w+, "(\w+)"}', source("compose/model/error.cpp"))
        self.assertEqual(values("Error", "kind"), set(kinds))
        statuses = set()
        for file in (ROOT / "engine/project").glob("*.cpp"):
            for said in re.findall(r"\b(?:announce\(|event_of\(|teller\(\)\(|tell\(|came_out\(|\.status = )([^;]*);", file.read_text()):
                statuses |= set(re.findall(r'"([A-Z][A-Za-z ]+)"', said))
        self.assertEqual(values("Event", "status"), statuses)


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("composed", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class OpenApiTest(DaemonTest):
    """Talks to the server by the document: an operation's name and its parameters, and checks each reply."""

    def setUp(self):
        self.document = Document()
        self.seen = set()  # (operationId, status)
        self.sent = set()  # (operationId, parameter of the query)
        super().setUp()

    def open(self, name, query=None, body=None, content_type=None, strict=True, **path):
        """Sends a request; `strict` when it is one that the document allows."""
        operation = self.document.operations[name]
        query = query or {}
        declared = {each["name"]: each for each in operation["parameters"] if each["in"] == "query"}
        if strict:
            self.assertLessEqual(set(query), set(declared), name)
            for each in declared.values():
                self.assertTrue(each["name"] in query or not each.get("required"), each)
                if each["name"] in query:
                    self.document.check(query[each["name"]], each["schema"])
            content = operation.get("requestBody", {"content": {None: None}})["content"]
            self.assertIn(content_type, content)
            if content_type == "application/json":
                self.document.check(json.loads(body), content[content_type]["schema"])
            self.sent |= {(name, each) for each in query}
        target = re.sub(r"{(\w+)}", lambda found: urllib.parse.quote(str(path[found[1]])), operation["path"])
        if query:
            text = {key: str(value).lower() if isinstance(value, bool) else value for key, value in query.items()}
            target += "?" + urllib.parse.urlencode(text)
        return self.send(operation["method"], target, body, content_type)

    def send(self, method, target, body=None, content_type=None):
        connection = Connection(self.run_folder / "composed.sock")
        self.addCleanup(connection.close)
        try:
            connection.request(method, target, body, {"Content-Type": content_type} if content_type else {})
        except ConnectionError:
            pass  # the server has answered and does not want the rest
        response = connection.getresponse()
        self.addCleanup(response.close)
        return response

    def schema_of(self, name, response):
        """The schema of the reply, or of one of its lines."""
        replies = self.document.operations[name]["responses"]
        self.assertIn(str(response.status), replies, f"{name}: this status is not described")
        content = self.document.follow(replies[str(response.status)])["content"]
        self.assertIn(response.headers["Content-Type"], content, name)
        self.seen.add((name, response.status))
        return content[response.headers["Content-Type"]]["schema"]

    def call(self, name, **request):
        """The reply: the value, or a list of the lines' values."""
        response = self.open(name, **request)
        text = response.read()
        self.assertEqual(response.status, 200, text)
        schema = self.schema_of(name, response)
        if response.headers["Content-Type"] == "application/x-ndjson":
            lines = [json.loads(line) for line in text.splitlines()]
            for line in lines:
                self.document.check(line, schema)
            return lines
        value = json.loads(text)
        self.document.check(value, schema)
        return value

    def operate(self, name, **request):
        """An operation that succeeds: its lines without the last."""
        lines = self.call(name, **request)
        self.assertEqual(lines[-1], {"done": True}, lines)
        return lines[:-1]

    def next_line(self, name, stream):
        line = json.loads(stream.readline())
        self.document.check(line, self.schema_of(name, stream))
        return line

    def refuse(self, name, status, kind, naming, **request):
        """A request that fails: the message has to name what it is about."""
        response = self.open(name, strict=False, **request)
        text = response.read()
        self.assertEqual(response.status, status, text)
        self.check_error(text, self.schema_of(name, response), kind, naming)

    def check_error(self, text, schema, kind, naming):
        error = json.loads(text)
        self.document.check(error, schema)
        self.assertEqual(error["kind"], kind, error)
        self.assertIn(naming, error["message"])

    def up(self, name, text, **query):
        return self.operate("putProject", project=name, body=text, content_type="application/yaml", query=query)

    def serve_busybox(self):
        folder = self.folder / "registry"
        folder.mkdir()
        address, stop = serve_registry(folder / "data", folder)
        self.addCleanup(stop)
        subprocess.run(["skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false",
                        f"docker-archive:{busybox_archive()}", f"docker://{address}/library/small:1"], check=True)
        return f"{address}/library/small:1"

    def exec(self, container, order, *frames):
        """Runs a command to its end: what came of each type of frame, and its exit code."""
        response = self.open("exec", container=container, body=json.dumps(order), content_type="application/json")
        self.assertEqual(response.status, 101, response.headers)
        for header, described in self.document.operations["exec"]["responses"]["101"]["headers"].items():
            self.document.check(response.headers[header], described["schema"])
        self.seen.add(("exec", 101))
        return self.talk(response, frames)

    def talk(self, response, frames):
        wire = socket.socket(fileno=socket.dup(response.fp.fileno()))
        with wire:
            for kind, payload in frames:
                wire.sendall(struct.pack(">B3xI", kind, len(payload)) + payload)
            came = {1: b"", 2: b""}
            while True:
                kind, size = struct.unpack(">B3xI", response.fp.read(8))
                payload = response.fp.read(size)
                if kind == 3:
                    break
                came[kind] += payload
        self.assertEqual(response.fp.read(), b"", "the exit code is the last frame")
        exit = json.loads(payload)
        self.assertEqual(list(exit), ["exit_code"])
        return came[1], came[2], exit["exit_code"]


class OperationsTest(OpenApiTest):
    def test_every_operation_answers_as_described(self):
        self.look_at_the_daemon()
        self.handle_images()
        self.bring_up()
        self.look_at_containers()
        self.run_commands()
        self.run_once()
        self.look_inside()
        self.read_logs()
        self.act()
        self.keep_contents()
        self.change_definitions()
        self.take_down()
        succeeded = {name for name, _ in self.seen}
        self.assertEqual(set(self.document.operations) - succeeded, set(), "operations that nothing here calls")
        declared = {(name, each["name"]) for name, operation in self.document.operations.items()
                    for each in operation["parameters"] if each["in"] == "query"}
        self.assertEqual(declared - self.sent, set(), "parameters that nothing here uses")

    def look_at_the_daemon(self):
        self.call("ping")
        self.call("version")
        self.assertEqual(self.call("listProjects"), [])
        self.assertEqual(self.call("listContainers"), [])

    def handle_images(self):
        loaded = self.call("loadImages", body=busybox_archive().read_bytes(), content_type="application/x-tar")
        self.assertEqual(loaded, {"loaded": ["busybox:latest"]})
        [image] = self.call("listImages")
        reference = self.serve_busybox()
        pulled = self.call("pullImage", query={"reference": reference, "platform": image["platform"]})
        self.assertEqual(pulled[-1], {"done": True, "id": image["id"]})
        self.assertEqual({line["status"] for line in pulled[:-1]}, {"exists"})
        self.assertRegex(self.call("resolveImage", query={"reference": reference})["reference"], f"^{reference}@sha256:[0-9a-f]{{64}}$")
        self.call("deleteImage", reference="busybox:latest")
        self.call("deleteImage", reference=reference)
        self.assertEqual(self.call("listImages"), [])
        pulled = self.call("pullImage", query={"reference": reference})
        self.assertEqual(pulled[-2]["status"], "done")
        nothing = self.call("pullImage", query={"reference": reference + "2"})
        self.assertEqual(nothing[-1]["error"]["kind"], "not_found")
        self.call("deleteImage", reference=image["id"])
        self.call("loadImages", body=busybox_archive().read_bytes(), content_type="application/x-tar")

    def bring_up(self):
        events = self.open("getEvents", query={"project": "api"})
        plan = self.call("putProject", project="api", body=STACK, content_type="application/yaml", query={"dry_run": True})
        self.assertIn("wait for", [step["action"] for step in plan["steps"]])
        self.assertEqual(self.call("listProjects"), [])
        lines = self.up("api", STACK, wait=True, wait_timeout=30, timeout=1, services="web,job", start=True, remove_orphans=False)
        self.assertEqual(lines[0], {"revision": 1, "orphans": []})
        actions = []
        for line in lines[1:]:
            while (told := self.next_line("getEvents", events)) != line:
                actions.append(told["action"])
        self.assertEqual(sorted(actions), ["create", "create", "health_status: healthy", "start", "start"])
        first = lines[1]["sequence"]
        again = self.open("getEvents", query={"since": first})
        self.assertEqual(self.next_line("getEvents", again), lines[1])
        ended = self.call("getEvents", query={"project": "api", "after": 0, "until": time.time() + 0.5})
        self.assertEqual([line for line in ended if "status" in line][:len(lines) - 1], lines[1:])
        [listed] = self.call("listProjects")
        project = self.call("getProject", project="api")
        definition = project.pop("definition")
        self.assertEqual(project, listed)
        # What one gets can be put: nothing changes.
        same = self.operate("putProject", project="api", body=json.dumps(definition), content_type="application/json",
                            query={"force_recreate": False, "dependencies": False})
        self.assertEqual(same[0]["revision"], 1)
        self.assertEqual({line["status"] for line in same[1:]}, {"Running"})

    def look_at_containers(self):
        containers = self.call("listContainers", query={"project": "api", "services": "job,web"})
        self.assertEqual([each["service"] for each in containers], ["job", "web"])
        web = containers[1]
        self.assertEqual(web["health"], "healthy")
        self.assertEqual([port["published"] for port in web["ports"]], [18097])
        for name in web["id"], web["name"]:
            alone = self.call("getContainer", container=name)
            self.assertEqual({each["exit_code"] for each in alone.pop("health_log")}, {0})
            self.assertEqual(alone, web)
        self.assertEqual(self.call("listContainers", query={"project": "no-such"}), [])

    def run_commands(self):
        order = {"args": ["sh", "-c", "cat; echo $A >&2; pwd; exit 7"], "env": ["A=b"], "cwd": "/data", "user": "0:0",
                 "stdin": True, "privileged": True}
        done = self.exec("api-web-1", order, (0, b"in\n"), (5, b""))
        self.assertEqual(done, (b"in\n/data\n", b"b\n", 7))
        order = {"args": ["sh", "-c", "read line; stty size"], "tty": True, "stdin": True, "rows": 10, "columns": 20}
        shown, errors, code = self.exec("api-web-1", order, (4, b'{"rows": 30, "columns": 90}'), (0, b"\n"))
        self.assertIn(b"30 90", shown)
        self.assertEqual((errors, code), (b"", 0))

        detached = self.open("exec", container="api-web-1", body='{"args": ["true"], "detach": true}', content_type="application/json")
        self.document.check(json.loads(detached.read()), self.schema_of("exec", detached))

    def attach(self, container, query, *frames):
        response = self.open("attach", container=container, query=query)
        self.assertEqual(response.status, 101)
        self.seen.add(("attach", 101))
        return self.talk(response, frames)

    def run_once(self):
        def make(changes, **query):
            body = json.dumps({"service": "job", "changes": changes})
            lines = self.call("runOnce", project="api", body=body, content_type="application/json", query=query)
            self.assertEqual(list(lines[-1]), ["done", "container"])
            return lines[-1]["container"]

        one = make({"command": ["sh", "-c", "read line; echo got $line; exit 5"], "entrypoint": None, "stdin_open": True},
                   name="once", dependencies=True, service_ports=False, use_aliases=True, remove_orphans=False)
        self.assertEqual(self.call("getContainer", container=one)["state"], "created")
        query = {"start": True, "stdin": True, "rows": 10, "columns": 20}
        self.assertEqual(self.attach("once", query, (0, b"it\n"), (5, b"")), (b"got it\n", b"", 5))
        self.assertEqual(self.call("waitForContainer", container="once"), [{"exit_code": 5}])
        self.assertEqual(self.call("removeContainer", container="once", query={"volumes": True}), {"removed": "once"})
        one = make({"command": ["sleep", "1000"]}, auto_remove=True)
        for action in "start", "pause", "unpause":
            self.assertEqual(self.call("actOnContainer", container=one, action=action), {"done": True})
        waiting = self.open("waitForContainer", container=one)
        self.assertEqual(self.call("actOnContainer", container=one, action="kill", query={"signal": "TERM"}), {"done": True})
        self.assertEqual(self.call("actOnContainer", container=one, action="stop", query={"timeout": 0}), {"done": True})
        self.assertEqual(self.next_line("waitForContainer", waiting)["exit_code"], 143)
        wait_until(lambda: len(self.call("listContainers")) == 2, 5, "it to be gone")

    def look_inside(self):
        [usage] = self.call("getStats", project="api", query={"services": "web", "stream": False})
        self.assertEqual([each["name"] for each in usage["containers"]], ["api-web-1"])
        listed = self.call("getProcesses", container="api-web-1")
        self.assertEqual(listed["titles"][-1], "CMD")
        done = self.open("putArchive", container="api-web-1", body=tar("file", b"x"), content_type="application/x-tar",
                         query={"path": "/data", "contents": False, "unpack": False, "owners": True})
        self.document.check(json.loads(done.read()), self.schema_of("putArchive", done))
        got = self.open("getArchive", container="api-web-1", query={"path": "/data/file", "follow_link": True})
        self.schema_of("getArchive", got)
        with tarfile.open(fileobj=io.BytesIO(got.read())) as archive:
            self.assertEqual(archive.extractfile("file").read(), b"x")

    def read_logs(self):
        soon = int(time.time()) + 60
        lines = self.call("getLogs", project="api", query={"services": "job", "since": 0, "until": soon, "tail": 9})
        self.assertEqual({(line["stream"], line["text"]) for line in lines}, {("stdout", "out\n"), ("stderr", "err\n")})
        following = self.open("getLogs", project="api", query={"services": "job", "follow": True})
        for _ in lines:
            self.next_line("getLogs", following)

    def act(self):
        def act(action, **query):
            return self.operate("actOnProject", project="api", action=action, query=query)

        [volume] = self.call("listVolumes", query={"project": "api", "services": "web"})
        self.assertEqual((volume["name"], volume["containers"]), ("api_data", ["api-web-1"]))
        self.assertEqual(self.call("listVolumes", query={"project": "api", "services": "job"}), [])
        made = self.call("createVolume", body=json.dumps({"name": "mine", "driver_opts": {"type": "tmpfs", "device": "tmpfs"}, "labels": {"a": "b"}}),
                         content_type="application/json")
        self.assertEqual((made["project"], made["labels"], made["containers"]), ("", {"a": "b"}, []))
        self.assertEqual(self.call("deleteVolume", volume="mine"), {"removed": "mine"})
        act("restart", services="job", timeout=0, dependents=False)
        self.assertEqual([line["status"] for line in act("pause", services="job")], ["Paused"])
        self.assertEqual(self.call("getContainer", container="api-job-1")["state"], "paused")
        self.assertEqual([line["status"] for line in act("unpause", services="job")], ["Unpaused"])
        act("kill", services="job", signal="KILL", orphans=True)
        wait_until(lambda: self.call("getContainer", container="api-job-1")["state"] == "exited", 10, "the job to end")
        ended = self.call("getContainer", container="api-job-1")
        self.assertEqual(ended["exit_code"], 137)
        self.assertFalse(ended["oom"])
        self.assertNotIn("pid", ended)
        act("remove", volumes=True)
        self.assertEqual([each["service"] for each in self.call("listContainers")], ["web"])
        act("stop", timeout=0)
        self.assertEqual([line["status"] for line in act("start", services="web", wait=True, wait_timeout=20)][-1], "Healthy")
        act("stop", timeout=0, remove=True)
        self.assertEqual(self.call("listContainers"), [])

    def keep_contents(self):
        for kind in "Secret", "Config":
            body = json.dumps({"name": "kept", "content": "AP8=", "labels": {"l": "1"}})
            self.assertEqual(self.call(f"create{kind}", body=body, content_type="application/json"), {"created": "kept"})
            [each] = self.call(f"list{kind}s")
            self.assertEqual((each["name"], each["labels"], each["used_by"]), ("kept", {"l": "1"}, []))
            self.assertNotIn("content", each)
        self.assertEqual(self.call("getConfig", config="kept")["content"], "AP8=")

    def change_definitions(self):
        self.up("api", STACK)
        less = yaml.safe_load(STACK)
        del less["services"]["job"]
        lines = self.up("api", yaml.safe_dump(less))
        self.assertEqual(lines[0], {"revision": 2, "orphans": ["api-job-1"]})
        self.up("api", yaml.safe_dump(less), remove_orphans=True, force_recreate=True, renew_anonymous=True,
                recreate_dependencies=True, keep_containers=False)
        less["services"]["web"]["image"] = "127.0.0.1:1/nothing"
        failed = self.call("putProject", project="api", body=yaml.safe_dump(less), content_type="application/yaml")
        self.assertEqual(failed[-1]["error"]["kind"], "unavailable")
        self.go_back()
        self.run_by_a_schedule()
        self.up("wide", WIDE, start=False)
        definition = self.call("getProject", project="wide")["definition"]
        self.assertEqual(definition["services"]["wide"]["environment"], {"A": None, "B": "b"})
        self.operate("putProject", project="wide", body=json.dumps(definition), content_type="application/json",
                     query={"start": False})
        self.assertEqual(self.call("getProject", project="wide")["revision"], 1)
        made = self.call("listContainers", query={"project": "wide"})
        self.assertEqual({each["state"] for each in made}, {"created"})

    def run_by_a_schedule(self):
        self.up("clock", "services: {tick: {image: busybox, command: date, x-composed: {schedule: '@every 1s'}}}")
        runs = wait_until(lambda: [run for run in self.call("listRuns", project="clock", query={"services": "tick"}) if "finished" in run],
                          10, "a run")
        self.assertEqual((runs[0]["service"], runs[0]["exit_code"]), ("tick", 0))
        [tick] = self.call("listContainers", query={"project": "clock"})
        self.assertEqual(tick["schedule"]["when"], "@every 1s")
        self.operate("deleteProject", project="clock")

    def go_back(self):
        self.assertEqual(self.call("listRepairs", project="api"), {"repairs": [], "problems": []})
        revisions = self.call("listRevisions", project="api")
        self.assertEqual([each["revision"] for each in revisions], [1, 2, 3, 4])  # one of force_recreate
        self.assertEqual(revisions[1]["differences"], [{"kind": "service", "name": "job", "change": "removed", "details": []}])
        one = self.call("getRevision", project="api", revision=1)
        self.assertIn("job", one["definition"]["services"])
        reply = self.call("diffRevisions", project="api", query={"from": 2, "to": 1})
        self.assertEqual([each["change"] for each in reply["differences"]], ["added"])
        self.assertEqual(self.call("diffRevisions", project="api", query={"from": 2})["to"], 4)
        back = self.operate("rollbackProject", project="api", query={"revision": 1, "wait": True, "remove_orphans": True})
        self.assertEqual(back[0], {"revision": 5, "of": 1})
        changed = yaml.safe_load(STACK)
        changed["networks"] = {"default": {"labels": {"a": "b"}}}
        changed["volumes"]["more"] = {}
        self.up("api", yaml.safe_dump(changed), start=False)
        kinds = {each["kind"] for each in self.call("diffRevisions", project="api", query={"from": 5})["differences"]}
        self.assertIn("network", kinds)

    def take_down(self):
        self.refuse("deleteSecret", 409, "conflict", "wide-one", secret="kept")
        self.operate("deleteProject", project="wide", query={"volumes": True, "remove_orphans": True, "timeout": 0})
        self.operate("deleteProject", project="api", query={"volumes": True, "declared": "api_data", "timeout": 0})
        self.assertEqual(self.call("deleteSecret", secret="kept"), {"removed": "kept"})
        self.assertEqual(self.call("deleteConfig", config="kept"), {"removed": "kept"})
        self.assertEqual(self.call("listProjects"), [])
        self.assertEqual(self.call("deleteImage", reference="busybox:latest"), {"removed": "busybox:latest"})


class ErrorsTest(OpenApiTest):
    def test_every_error_answers_as_described(self):
        self.up("api", STACK, wait=True)
        self.operate("actOnProject", project="api", action="kill", query={"services": "job", "signal": "9"})
        wait_until(lambda: self.container("job")["state"] == "exited", 10, "the job to end")
        self.refuse_what_is_not_there()
        self.refuse_bad_definitions()
        self.refuse_bad_queries()
        self.refuse_bad_commands()
        self.refuse_bad_contents()
        self.refuse_bad_volumes()
        self.refuse_bad_archives()
        self.refuse_too_much()
        self.refuse("deleteImage", 409, "conflict", '"busybox"', reference="busybox")
        self.refuse("exec", 409, "conflict", "api-job-1", container="api-job-1", body='{"args": ["true"]}')
        job = self.container("job")["id"]
        self.refuse("attach", 409, "conflict", job, container="api-job-1")
        self.refuse("actOnContainer", 409, "conflict", "api-job-1", container="api-job-1", action="pause")
        self.refuse("removeContainer", 409, "conflict", "api-web-1", container="api-web-1")
        self.refuse("getProcesses", 409, "conflict", "api-job-1", container="api-job-1")
        self.refuse_bad_runs()
        self.refuse_bad_copies()
        described = {(name, int(status)) for name, operation in self.document.operations.items()
                     for status in operation["responses"] if "400" <= status < "500"}
        self.assertEqual(described - self.seen, set(), "errors that nothing here makes")
        self.assertIsNone(self.daemon.poll())

    def refuse_what_is_not_there(self):
        for name in "getProject", "deleteProject", "getLogs", "listRevisions", "listRuns", "listRepairs", "rollbackProject":
            self.refuse(name, 404, "not_found", 'project "none"', project="none")
        self.refuse("getRevision", 404, "not_found", "revision 9 is not kept; there are 1 to 1", project="api", revision=9)
        self.refuse("diffRevisions", 404, "not_found", "revision 9", project="api", query={"from": 9})
        self.refuse("rollbackProject", 404, "not_found", "nothing before revision 1", project="api")
        self.refuse("actOnProject", 404, "not_found", 'project "none"', project="none", action="stop")
        self.refuse("actOnProject", 404, "not_found", '"dance"', project="api", action="dance")
        self.refuse("actOnContainer", 404, "not_found", '"dance"', container="api-web-1", action="dance")
        self.refuse("getStats", 404, "not_found", '"none"', project="none")
        for name in "getContainer", "exec", "attach", "waitForContainer", "removeContainer", "getProcesses", "getArchive", "putArchive":
            self.refuse(name, 404, "not_found", 'container "none"', container="none", body='{"args": ["true"]}')
        for image in "none", "registry.invalid/library/none:1", "sha256:" + "0" * 64:
            self.refuse("deleteImage", 404, "not_found", f'image "{image}"', reference=image)
        nowhere = self.serve_busybox() + "2"
        self.refuse("resolveImage", 404, "not_found", nowhere, query={"reference": nowhere})
        self.refuse("resolveImage", 503, "unavailable", "127.0.0.1:1", query={"reference": "127.0.0.1:1/x"})
        services = {"query": {"services": "none"}}
        self.refuse("getLogs", 404, "not_found", "none", project="api", **services)
        self.refuse("listContainers", 404, "not_found", "none", query={"project": "api", "services": "none"})
        self.refuse("actOnProject", 404, "not_found", "none", project="api", action="stop", **services)
        self.refuse("putProject", 404, "not_found", "none", project="api", body=STACK, content_type="application/yaml",
                    **services)
        error = {"$ref": "#/components/schemas/Error"}
        for method, path, status, kind in (("GET", "/", 404, "not_found"), ("GET", "/api/v2/ping", 404, "not_found"),
                                           ("GET", "/api/v1/ping/more", 404, "not_found"),
                                           ("POST", "/api/v1/ping", 405, "invalid"),
                                           ("PATCH", "/api/v1/projects/api", 405, "invalid"),
                                           ("GET", "/api/v1/projects/api/stop", 405, "invalid")):
            response = self.send(method, path)
            self.assertEqual(response.status, status, path)
            self.assertEqual(response.getheader("Allow") is not None, status == 405, path)
            self.check_error(response.read(), error, kind, f'"{path}"')

    def refuse_bad_definitions(self):
        def refuse(body, naming, content_type):
            self.refuse("putProject", 400, "invalid", naming, project="bad", body=body, content_type=content_type)

        for body, naming in (("", "project definition"), ("{", "project definition"), ("[]", "project definition"),
                             ('{"name": "other"}', '"other"'), ('{"name": "bad", "zz": 1}', 'zz: unknown member'),
                             ('{"name": "bad", "services": {"a": {"name": "a", "scale": "x"}}}', "services.a.scale"),
                             ('{"name": "bad", "services": {"a": {"name": "a"}}}', "services.a.image"),
                             ('{"name": "bad", "services": {"a": {"name": "a", "image": "i", "networks": {"n": {}}}}}', "network n"),
                             ('{"name": "bad", "services": {"a": {"name": "a", "image": "i", "depends_on": {"a": {}}}}}', "itself"),
                             ('{"name": "bad", "services": {"a": {"name": "b"}}}', '"b"')):
            refuse(body, naming, "application/json")
        for body, naming in (("services: [", "1:"), ("services: {a: {}}", "services.a"),
                             ("services: {a: {image: busybox, zz: 1}}", "services.a.zz"),
                             ("services: {a: {image: busybox, env_file: x}}", "services.a.env_file")):
            refuse(body, naming, "application/yaml")
        refuse(STACK, "text/plain", "text/plain")
        self.refuse("putProject", 400, "invalid", '"Bad Name"', project="Bad Name", body=STACK,
                    content_type="application/yaml")
        self.refuse("getProject", 404, "not_found", '"bad"', project="bad")

    def refuse_bad_queries(self):
        self.refuse("getStats", 400, "invalid", '"stream"', project="api", query={"stream": "perhaps"})
        for query, naming in (({"tail": "x"}, '"tail"'), ({"since": "-1"}, '"since"'), ({"follow": "maybe"}, '"follow"')):
            self.refuse("getLogs", 400, "invalid", naming, project="api", query=query)
        self.refuse("getEvents", 400, "invalid", '"since"', query={"since": "1.5"})
        self.refuse("deleteProject", 400, "invalid", '"timeout"', project="api", query={"timeout": "soon"})
        self.refuse("actOnProject", 400, "invalid", '"NOPE"', project="api", action="kill", query={"signal": "NOPE"})
        self.refuse("actOnProject", 400, "invalid", '"timeout"', project="api", action="stop", query={"timeout": ""})
        self.refuse("putProject", 400, "invalid", '"wait"', project="api", body=STACK, content_type="application/yaml",
                    query={"wait": "perhaps"})
        self.refuse("pullImage", 400, "invalid", '"reference"')
        self.refuse("getRevision", 400, "invalid", '"first"', project="api", revision="first")
        self.refuse("diffRevisions", 400, "invalid", '"from"', project="api")
        self.refuse("rollbackProject", 400, "invalid", '"revision"', project="api", query={"revision": "x"})
        self.refuse("resolveImage", 400, "invalid", '"reference"')

    def refuse_bad_commands(self):
        for body, naming in (("", "exec"), ("{", "exec"), ("[]", "exec"), ("{}", '"args"'), ('{"args": []}', '"args"'),
                             ('{"args": "true"}', "exec"), ('{"args": ["true"], "zz": 1}', '"zz"'),
                             ('{"args": ["true"], "user": "nobody-such"}', '"nobody-such"')):
            self.refuse("exec", 400, "invalid", naming, container="api-web-1", body=body)
        self.refuse("exec", 404, "not_found", "no-such-program", container="api-web-1",
                    body='{"args": ["no-such-program"]}')

    def refuse_bad_runs(self):
        def refuse(body, naming, status=400, kind="invalid", **request):
            self.refuse("runOnce", status, kind, naming, body=body, **{"project": "api", **request})

        for body, naming in (("", "run"), ("[]", "run"), ("{}", '"service"'), ('{"service": "job", "zz": 1}', '"zz"'),
                             ('{"service": "job", "changes": 1}', '"changes"'),
                             ('{"service": "job", "changes": {"zz": 1}}', "zz"),
                             ('{"service": "job", "definition": {"name": "other"}}', '"other"')):
            refuse(body, naming)
        refuse('{"service": "none"}', "none", 404, "not_found")
        refuse('{"service": "job"}', 'project "none"', 404, "not_found", project="none")
        refuse(b" " * (65 << 20), "/projects/api/run", 413, "exhausted")
        self.refuse("attach", 400, "invalid", '"stdin"', container="api-web-1", query={"stdin": "perhaps"})
        self.refuse("attach", 413, "exhausted", "/attach", container="api-web-1", body=b" " * (1 << 20))
        self.refuse("actOnContainer", 400, "invalid", '"NOPE"', container="api-web-1", action="kill", query={"signal": "NOPE"})

    def refuse_bad_copies(self):
        at = {"container": "api-web-1"}
        for name in "getArchive", "putArchive":
            self.refuse(name, 400, "invalid", '"path"', **at)
        self.refuse("getArchive", 404, "not_found", "/nowhere", query={"path": "/nowhere"}, **at)
        self.refuse("putArchive", 404, "not_found", "/nowhere", query={"path": "/nowhere/x"}, body=tar("a", b""), **at)
        self.refuse("putArchive", 400, "invalid", "tar", query={"path": "/data"}, body=b"none" * 1000, **at)
        self.up("again", "services: {a: {image: busybox, command: 'false', restart: always}}")
        one = {"container": "again-a-1", "query": {"path": "/tmp"}}
        wait_until(lambda: (self.container("a")["restart_count"] >= 4) and self.container("a")["state"] == "restarting", 15, "a long delay")
        self.refuse("getArchive", 409, "conflict", "again-a-1", **one)
        self.refuse("putArchive", 409, "conflict", "again-a-1", body=tar("a", b""), **one)
        self.operate("deleteProject", project="again")

    def refuse_bad_contents(self):
        for kind in "secret", "config":
            create = f"create{kind.title()}"
            for body, naming in (("", "create"), ("[]", "create"), ("{}", '"name" and "content"'), ('{"name": "a"}', '"content"'),
                                 ('{"name": "a", "content": "?"}', "base64"), ('{"name": "a/b", "content": ""}', '"a/b"'),
                                 ('{"name": "a", "content": "", "labels": {"l": 1}}', '"labels"'),
                                 ('{"name": "a", "content": "", "zz": 1}', '"zz"')):
                self.refuse(create, 400, "invalid", naming, body=body)
            body = json.dumps({"name": "used", "content": "eA=="})
            self.call(create, body=body, content_type="application/json")
            self.refuse(create, 409, "conflict", '"used"', body=body)
            self.refuse(create, 413, "exhausted", "500 KiB", body=json.dumps({"name": "big", "content": "AAAA" * 170668}))
            self.refuse(create, 413, "exhausted", f"/{kind}s", body=b" " * (2 << 20))
            self.refuse(f"delete{kind.title()}", 404, "not_found", '"none"', **{kind: "none"})
        self.refuse("getConfig", 404, "not_found", '"none"', config="none")
        self.up("uses", "services: {a: {image: busybox, secrets: [used], configs: [used]}}\n"
                "secrets: {used: {external: true}}\nconfigs: {used: {external: true}}\n", start=False)
        self.refuse("deleteSecret", 409, "conflict", "uses-a-1", secret="used")
        self.refuse("deleteConfig", 409, "conflict", "uses-a-1", config="used")
        self.operate("deleteProject", project="uses")

    def refuse_bad_volumes(self):
        for body, naming in (("", "create"), ("[]", "create"), ("{}", "volume name"), ('{"name": "a/b"}', '"a/b"'), ('{"name": "a", "zz": 1}', '"zz"'),
                             ('{"name": "a", "labels": {"l": 1}}', '"labels"'), ('{"name": "a", "driver_opts": {"size": "1"}}', "driver_opts.size")):
            self.refuse("createVolume", 400, "invalid", naming, body=body)
        self.refuse("createVolume", 409, "conflict", '"api_data"', body='{"name": "api_data", "driver_opts": {"type": "tmpfs", "device": "tmpfs"}}')
        self.refuse("createVolume", 413, "exhausted", "/volumes", body=b" " * (2 << 20))
        self.refuse("deleteVolume", 404, "not_found", '"none"', volume="none")
        self.refuse("deleteVolume", 409, "conflict", "api-web-1", volume="api_data")
        self.refuse("listVolumes", 404, "not_found", "nosuch", query={"project": "api", "services": "nosuch"})

    def refuse_bad_archives(self):
        for body in b"", b"no archive", tar("other", b""), tar("manifest.json", b"{"):
            self.refuse("loadImages", 400, "invalid", "archive", body=body)
        self.refuse("loadImages", 413, "exhausted", '"manifest.json"', body=tar("manifest.json", b" " * (9 << 20)))

    def refuse_too_much(self):
        self.refuse("exec", 413, "exhausted", "/containers/api-web-1/exec", container="api-web-1", body=b" " * (2 << 20))
        self.refuse("putProject", 413, "exhausted", "/projects/api", project="api", body=b" " * (65 << 20),
                    content_type="application/yaml")
        response = self.send("GET", "/api/v1/ping?" + "a" * (17 << 10))
        self.assertEqual(response.status, 431)
        self.check_error(response.read(), {"$ref": "#/components/schemas/Error"}, "invalid", "header")


def tar(name, content):
    """An archive with one file."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


if __name__ == "__main__":
    unittest.main()
