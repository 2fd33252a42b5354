"""Projects made by chance from a table of attributes, read by Docker Compose 2.40 and by ours: both mean the same.

The seed is printed: the same in each run of CI, so that it fails for what was changed alone. SEED=N takes another one, SEED=0 any,
COUNT=N makes another number of projects.
"""
import concurrent.futures
import json
import os
import pathlib
import random
import tempfile
import unittest

import yaml

from differential_test import difference, run
from harness import BIN
import peer

COUNT = int(os.environ.get("COUNT", "2000"))
SEED = int(os.environ.get("SEED", "787505552")) or random.SystemRandom().randrange(1, 10**9)

WORDS = ["web", "db", "cache", "queue", "a b", "x=y", "it's", "8080", "true", "null", "~", "1.50", "0x1F", "yes", "é", "#no", "a: b",
         "$${HOME}", "${SET}", "${NOPE-fallback}", "-", "/path/to", "10m", "", " lead", "tab\there", "line\nbreak"]


LINES = ["AA=x", "BB=x\t#y", "CC=x #y", 'DD="q $SET"', "EE='s'", "FF=$NOPE", "SET", "GG=\t#y", "\t# c", "HH: v", "export II=1", ""]


class Maker:
    """Values of the language. Names of two letters and more: one-letter volumes are Windows drives to the other side."""

    def __init__(self, seed):
        self.chance = random.Random(seed)

    def one(self, *choices):
        return self.chance.choice(choices)

    def some(self, make, most=3, least=0):
        return [make() for _ in range(self.chance.randint(least, most))]

    def each_once(self, choices, most=3):
        return self.chance.sample(choices, self.chance.randint(1, min(most, len(choices))))

    def word(self):
        return self.one(*WORDS)

    def duration(self):
        return self.one("1s", "1m30s", "500ms", "2h", "1h0m5s", "1.5s", "1d", "90s")

    def size(self):
        return self.one("64m", "1g", "512k", "1.5gb", 1048576, "100b")

    def variables(self):
        names = self.each_once(["AA", "BB", "CC", "SET", "NOPE"])
        if self.chance.random() < 0.5:
            return {name: self.one(self.word(), 1, 1.5, None, "x") for name in names}
        return [self.one(name, f"{name}=", f"{name}={self.one('1', 'a b', 'x=y', '${SET}')}") for name in names]

    def labels(self):
        names = self.each_once(["l.one", "l.two", "l.three"])
        if self.chance.random() < 0.5:
            return {name: self.one(self.word(), 5, 2.5) for name in names}
        return [f"{name}={self.one('1', 'a b')}" for name in names]

    def command(self):
        return self.one("run it", "sh -c 'echo $$HOME'", [], ["a", "b c"], None, 'x "y z"')

    def port(self):
        target, host = self.chance.randint(1, 65000), self.chance.randint(1, 65000)
        if self.chance.random() < 0.3:  # of these some are the same
            return f"{self.one('', '0.0.0.0:', '127.0.0.1:')}8080:{self.one(80, 81)}{self.one('', '/tcp')}"
        return self.one(str(target), f"{host}:{target}", f"127.0.0.1:{host}:{target}/udp", f"{host}-{host + 2}:{target}-{target + 2}",
                        {"target": target}, {"target": target, "published": str(host), "protocol": "udp", "mode": "host"},
                        {"target": target, "published": host, "host_ip": "10.0.0.1", "name": "pp"}, f"127.0.0.1::{target}")

    def mount(self, number):
        target = f"{self.one('', '/x/..')}/mnt/{number}"
        return self.one(f"./rel:{target}", f"/abs:{target}:ro", f"vol1:{target}", f"vol2:{target}:nocopy", target, f"~/h:{target}",
                        {"type": "bind", "source": "./x", "target": target, "read_only": True},
                        {"type": "volume", "source": "vol1", "target": target, "volume": {"nocopy": True}},
                        {"type": "tmpfs", "target": target, "tmpfs": {"size": self.size()}}, f"../up:{target}:z")

    def networks(self):
        names = self.each_once(["net1", "net2", "default"])
        if self.chance.random() < 0.5:
            return names
        return {name: self.one(None, {"aliases": ["al1", "al2"]}, {"ipv4_address": "10.5.0.7", "priority": 5}, {"gw_priority": 2})
                for name in names}

    def depends_on(self, earlier):
        names = self.each_once(earlier)
        if self.chance.random() < 0.5:
            return names
        return {name: {"condition": self.one("service_started", "service_healthy", "service_completed_successfully"),
                       **self.one({}, {"restart": True}, {"required": False})} for name in names}

    def healthcheck(self):
        return {"test": self.one("curl localhost", ["CMD", "a", "b"], ["CMD-SHELL", "x || y"], ["NONE"]),
                **self.one({}, {"interval": self.duration()}, {"retries": self.one(3, "5")}, {"timeout": self.duration(), "start_period": "5s"})}

    def deploy(self):
        return {**self.one({}, {"replicas": 3}, {"mode": "replicated"}),
                **self.one({}, {"resources": {"limits": {"cpus": self.one("0.5", 1.5), "memory": self.one("50M", "1g")}}}),
                **self.one({}, {"labels": self.labels()}, {"restart_policy": {"condition": "on-failure", "delay": self.duration()}})}

    def build(self):
        return self.one(".", "./ctx", "https://example.org/x.git",
                        {"context": "./ctx", "dockerfile": "D", "args": self.variables(), "target": "t"},
                        {"context": ".", "labels": self.labels(), "cache_from": ["x"], "platforms": ["linux/amd64"]},
                        {"context": ".", "dockerfile_inline": "FROM x", "extra_hosts": ["h1=1.2.3.4"], "shm_size": self.size()})

    def service(self, earlier):
        table = {
            "command": self.command, "entrypoint": self.command, "environment": self.variables, "labels": self.labels,
            "annotations": self.labels, "ports": lambda: self.some(self.port, 3, 1), "expose": lambda: self.each_once(["80", "90-92", 443]),
            "volumes": lambda: [self.mount(number) for number in range(self.chance.randint(1, 4))],
            "tmpfs": lambda: self.one("/run", ["/run", "/tmp:size=1m"]), "networks": self.networks,
            "restart": lambda: self.one("no", "always", "on-failure:3", "unless-stopped"), "healthcheck": self.healthcheck,
            "container_name": lambda: f"name{self.chance.randrange(10**6)}", "hostname": lambda: "host1", "working_dir": lambda: "/w",
            "user": lambda: self.one("root", "1000:1000"), "stop_signal": lambda: "SIGINT", "stop_grace_period": self.duration,
            "init": lambda: self.one(True, False, "true"), "tty": lambda: self.one(True, False), "stdin_open": lambda: True,
            "read_only": lambda: self.one(True, "false"), "privileged": lambda: True, "profiles": lambda: ["prof"],
            "extra_hosts": lambda: self.one(["h1:1.2.3.4", "h2=::1"], {"h1": "1.2.3.4", "h2": ["5.6.7.8"]}),
            "dns": lambda: self.one("1.1.1.1", ["1.1.1.1", "8.8.8.8"], "", ["${NOPE:-}", "1.1.1.1"]), "dns_search": lambda: ["ex.org"], "dns_opt": lambda: ["ndots:2"],
            "cap_add": lambda: self.each_once(["NET_ADMIN", "SYS_TIME"]), "cap_drop": lambda: ["ALL"], "security_opt": lambda: ["no-new-privileges"],
            "logging": lambda: {"driver": "json-file", "options": {"max-size": "10m", "max-file": self.one("3", 3)}},
            "platform": lambda: "linux/amd64", "pull_policy": lambda: self.one("always", "never", "missing", "if_not_present", "daily"),
            "mem_limit": self.size, "mem_reservation": lambda: 1000, "cpus": lambda: self.one(1.5, "0.5", 2), "cpu_shares": lambda: 512,
            "pids_limit": lambda: self.one(100, -1), "shm_size": self.size, "oom_score_adj": lambda: -5, "sysctls": lambda: {"net.core.x": 1},
            "ulimits": lambda: {"nproc": 5, "nofile": {"soft": 1, "hard": 2}}, "devices": lambda: ["/dev/null", "/dev/zero:/dev/z:r"],
            "group_add": lambda: ["wheel", 5], "ipc": lambda: "host", "pid": lambda: "host", "uts": lambda: "host", "runtime": lambda: "runc",
            "build": self.build, "secrets": lambda: self.one(["sec1"], [{"source": "sec1", "target": "/s", "mode": self.one(0o440, 5, "0400", 0o1777)}]),
            "configs": lambda: self.one(["conf1"], [{"source": "conf1", "target": "/c"}]), "domainname": lambda: "ex.org",
            "mac_address": lambda: "02:42:ac:11:65:43", "attach": lambda: False, "storage_opt": lambda: {"size": self.one("1G", None)},
            "pull_refresh_after": self.duration, "env_file": lambda: self.one("e.env", [{"path": "e.env", "format": "raw"}]),
            "gpus": lambda: [{"capabilities": ["gpu"], "options": self.one(["aa", "bb=1"], {"aa": None})}],
            "post_start": lambda: [{"command": "x", "user": "root"}], "x-own": lambda: {"a": [1, "b", None]},
        }
        made = {"image": self.one("nginx", "nginx:1.25", "reg.example:5000/a/b@sha256:" + "0" * 64, "x:${SET}")}
        if earlier and self.chance.random() < 0.4:
            made["depends_on"] = self.depends_on(earlier)
        for key in self.chance.sample(sorted(table), self.chance.randint(0, 9)):
            made[key] = table[key]()
        if "container_name" in made:
            made.pop("deploy", None)
        elif self.chance.random() < 0.15:
            made["deploy"] = self.deploy()
            if "resources" in made["deploy"]:
                for twin in "mem_limit", "mem_reservation", "cpus", "pids_limit":
                    made.pop(twin, None)
        return made

    def env_file(self):
        return "\n".join(self.some(lambda: self.one(*LINES), 8)) + "\n"

    def project(self):
        names = [f"svc{number}" for number in range(self.chance.randint(1, 4))]
        services = {}
        for name in names:
            # What depends on a service that is off is refused, so the ones that others need are always on.
            services[name] = self.service([each for each in services if "profiles" not in services[each]])
        made = {"services": services, "networks": {"net1": self.one(None, {"internal": True}, {"labels": self.labels()}),
                                                   "net2": {"ipam": {"config": [{"subnet": "10.5.0.0/16"}]}}},
                "volumes": {"vol1": None, "vol2": self.one(None, {"name": "named"}, {"driver_opts": {"o": 1}}, {"external": True},
                                                             {"external": {}}, {"external": {"name": "q"}})},
                "secrets": {"sec1": self.one({"file": "./s"}, {"environment": "SET"})}, "configs": {"conf1": {"content": "c ${SET}"}}}
        if self.chance.random() < 0.3:
            made["name"] = self.one("given", "${SET}")
        if self.chance.random() < 0.3:
            made["x-top"] = self.one(1, "a", {"k": [True, 1.25]})
        return made


def compare(seed, reference):
    maker = Maker(seed)
    text = yaml.safe_dump(maker.project(), sort_keys=False, allow_unicode=True)
    flags = maker.one([], ["--all-resources"])
    with tempfile.TemporaryDirectory(prefix="composed-random-") as scratch:
        folder = pathlib.Path(scratch) / "case"
        folder.mkdir()
        (folder / "compose.yaml").write_text(text)
        (folder / "e.env").write_text(maker.env_file())
        theirs, ours = (run(program, folder, *flags, "config", "--format", "json") for program in (reference, BIN / "compose"))
    if (theirs.returncode == 0) != (ours.returncode == 0):
        return f"exit {theirs.returncode}: {theirs.stderr[-300:]}\nexit {ours.returncode}: {ours.stderr[-300:]}\n{text}", True
    if ours.returncode != 0:
        return "", False
    differs = difference(json.loads(theirs.stdout), json.loads(ours.stdout))
    return (f"{differs}\n{text}" if differs else ""), True


class RandomTest(unittest.TestCase):
    def test_both_mean_the_same_by_what_chance_makes(self):
        reference = peer.make_root() / "usr/libexec/docker/cli-plugins/docker-compose"
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(lambda seed: (seed, *compare(seed, reference)), range(SEED, SEED + COUNT)))
        wrong = [f"SEED={seed} COUNT=1:\n{differs}" for seed, differs, _ in found if differs]
        valid = sum(good for _, _, good in found)
        print(f"seed {SEED}: {COUNT} projects, {valid} valid, {len(wrong)} differ")
        self.assertGreater(valid, COUNT * 0.8, "most should be valid")
        self.assertEqual(len(wrong), 0, "\n".join(wrong[:5]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
