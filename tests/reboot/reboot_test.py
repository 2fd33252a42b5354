"""Real boots: a clean one and six power cuts, five at random moments and one during `up`. After each the restart policies hold, what was acknowledged is
there, and nothing is left over. What is not flushed is lost with the machine's memory.
"""
import json
import os
import random
import threading
import time
import unittest

from living_machine import LivingMachine, Off

SEED = int(os.environ.get("COMPOSED_TEST_SEED", "20261123"))
POLICIES = {"no": "no", "failure": "on-failure", "failure3": "on-failure:3", "always": "always", "unless": "unless-stopped"}
RUNS, ENDS = {"running"}, {"exited"}
SLEEP = "image: busybox, init: true, command: sleep 100000"

STACK = "name: table\nservices:\n" + "".join(
    f"  {name}-runs: {{{SLEEP}, restart: '{policy}'}}\n  {name}-stopped: {{{SLEEP}, restart: '{policy}'}}\n" for name, policy in POLICIES.items()
) + "".join(
    f"  {name}-{how}: {{image: busybox, command: '{command}', restart: '{policy}'}}\n"
    for name, policy in POLICIES.items() if name in ("no", "failure", "failure3") for how, command in (("done", "true"), ("failed", "false"))
    if (name, how) != ("failure", "failed"))
DATA = f"""name: data
services:
  db:
    image: postgres:15
    environment: {{POSTGRES_PASSWORD: of-a-test}}
    restart: always
    volumes: ['rows:/var/lib/postgresql/data']
    # Over TCP: while the entrypoint prepares the database, postgres listens on its Unix socket alone.
    healthcheck: {{test: pg_isready --quiet --host 127.0.0.1, interval: 5s, timeout: 20s, start_period: 5m, start_interval: 500ms}}
  web: {{{SLEEP}, restart: always, depends_on: {{db: {{condition: service_healthy}}}}, ports: ['127.0.0.1:8080:80']}}
volumes: {{rows: }}
"""
# Each tells of its end, and ends well.
TELLS = "trap 'sleep 0.3; echo $$0 >>/order/told; sync; exit 0' TERM; while :; do sleep 0.2; done"
ORDER = "name: order\nservices:\n" + "".join(
    f"""  {name}: {{image: busybox, command: [sh, -c, "{TELLS}", {name}], restart: always, volumes: ['/root/order:/order'], depends_on: [{before}]}}\n"""
    for name, before in (("db", ""), ("api", "db"), ("web", "api")))


class RebootTest(unittest.TestCase):
    def setUp(self):
        self.chance = random.Random(SEED)
        self.machine = LivingMachine(["postgres:15"])
        self.addCleanup(self.machine.close)
        self.acknowledged = []
        self.stopped = {f"{name}-stopped" for name in POLICIES}

    def compose(self, stack, *arguments):
        return self.machine.run(f"cd /root/{stack} && compose --ansi never {' '.join(arguments)}")

    def install(self):
        self.machine.boot()
        self.machine.run("cd /mnt/second && tar -C installed -c . | tar -C / -x --keep-directory-symlink --no-same-owner && "
                         "systemctl daemon-reload && systemctl enable --now composed && "
                         "compose load -i busybox.tar && compose load -i postgres-15.tar")
        for name, text in ("table", STACK), ("data", DATA), ("order", ORDER):
            self.machine.run(f"mkdir -p /root/{name} && cat >/root/{name}/compose.yaml <<'YAML'\n{text}\nYAML")
            self.compose(name, "up", "-d")
        self.sql("create table rows (number integer primary key)")
        self.compose("table", "stop", "-t", "0", *self.stopped)

    def expected(self):
        """What the table says after a boot."""
        states = {}
        for name in POLICIES:
            states[f"{name}-runs"] = ENDS if name == "no" else RUNS
            states[f"{name}-stopped"] = RUNS if name == "always" else ENDS
        for service in ("no-done", "no-failed", "failure-done", "failure3-done", "failure3-failed"):
            states[service] = ENDS
        for service in self.stopped & {"unless-runs"}:
            states[service] = ENDS
        return states

    def check(self, when):
        start = time.monotonic()
        while True:
            found = {each["Service"]: each["State"] for each in map(json.loads, self.compose("table", "ps", "-a", "--format", "json").splitlines())}
            data = [json.loads(line) for line in self.compose("data", "ps", "-a", "--format", "json").splitlines()]
            wrong = {name: found.get(name) for name, states in self.expected().items() if found.get(name) not in states}
            whole = sorted((each["Service"], each["State"], each["Health"]) for each in data) == [
                ("db", "running", "healthy"), ("web", "running", "")]
            if not wrong and whole:
                break
            if time.monotonic() - start > 120:
                self.fail(f"{when}: {wrong}, {[(each['Service'], each['Status']) for each in data]}\n"
                          + self.machine.run("journalctl -u composed -b --no-pager | tail -n 40", check=False))
            time.sleep(0.5)
        self.assertEqual(self.machine.run("systemctl is-active composed").strip(), "active")
        rows = self.sql("select number from rows").split()
        lost = set(self.acknowledged) - set(map(int, rows))
        self.assertEqual(lost, set(), f"{when}: acknowledged rows are lost")
        running = sum(state == "running" for state in found.values()) + len(data) + 3
        left = self.machine.run("pgrep -c composed-shim; ls /sys/class/net | grep -c '^b'; nft list tables | grep -c composed; "
                                "ls /run/composed/container | wc -l; ls /sys/fs/cgroup/composed | grep -cE '^[0-9a-f]{64}$'").split()
        self.assertEqual(left, [str(running), "3", "2", str(running), str(running)],
                         f"{when}: shims, bridges, tables, run folders and cgroups of {running} containers")
        print(f"{when:48} policies hold, {len(self.acknowledged)} acknowledged rows there, {running} containers run, nothing left over",
              flush=True)

    def first_healthy(self):
        """Seconds of uptime at which what waits for a healthy container was started."""
        web = next(each for each in json.loads(self.api("/containers")) if each["service"] == "web"
                   and each["project"] == "data")
        return self.uptime_at(web["started"])

    def daemon_start(self):
        return int(self.machine.run("systemctl show -p ExecMainStartTimestampMonotonic --value composed")) / 1e6

    def uptime_at(self, moment):
        return float(self.machine.run(f"""python3 -c "
import datetime, time
began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
print(datetime.datetime.fromisoformat('{moment}'[:26].rstrip('Z') + '+00:00').timestamp() - began)" """))

    def api(self, path):
        return self.machine.run(f"curl -sS --unix-socket /run/composed/composed.sock http://composed/api/v1{path}")

    def sql(self, statement):
        return self.compose("data", "exec", "-T", "db", "psql", "-U", "postgres", "-qtA", "-c", f"'{statement}'")

    def write_rows(self):
        """Until the power goes."""
        try:
            while True:
                row = len(self.acknowledged)
                self.sql(f"insert into rows values ({row})")
                self.acknowledged.append(row)
        except Off:
            pass

    def cut_while(self, work, least, most):
        """Cuts the power at a random moment of the work."""
        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(self.chance.uniform(least, most))
        self.machine.cut_power()
        thread.join()
        self.machine.boot()

    def force_recreate(self):
        try:
            self.compose("data", "up", "-d", "--force-recreate", "-t", "0")
        except (Off, AssertionError):
            pass

    def test_boots(self):
        began = time.monotonic()
        print(f"\nCOMPOSED_TEST_SEED={SEED}")
        self.install()
        self.machine.reboot_cleanly()
        self.check("a clean reboot")
        self.assertEqual(self.machine.run("cat /root/order/told").split(), ["web", "api", "db"], "not ended in order")
        print(f"{'the stacks had ended in reverse order':48} web, api, db")
        print(f"{'kernel start to the first stack healthy':48} {self.first_healthy():.1f} s, of which {self.daemon_start():.1f} s before the daemon")
        for number in range(3):
            self.cut_while(self.write_rows, 2, 6)
            self.check(f"power cut {number + 1}, while rows were written")
        self.cut_while(self.force_recreate, 0.2, 2.5)
        self.check("power cut 4, while `up` made all anew")
        self.compose("table", "stop", "-t", "0", "unless-runs")
        time.sleep(0.01)
        self.machine.cut_power()
        self.stopped.add("unless-runs")
        self.machine.boot()
        self.check("power cut 5, 10 ms after `stop` had answered")
        self.cut_while(self.write_rows, 2, 6)
        self.check("power cut 6, while rows were written")
        print(f"8 boots in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    unittest.main()
