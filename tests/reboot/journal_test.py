"""The journal of a real systemd, natively and as the syslog daemon that it is as well."""
import json
import unittest

from cgroup2_test import INSTALL
from machine import boot

STACK = """
name: l
services:
  journal:
    image: busybox
    init: true
    stop_grace_period: 0s
    labels: {team.name: blue}
    logging: {driver: journald, options: {labels: team.name, tag: 'tag of {{.Name}}'}}
    command: [sh, -c, 'echo to the journal; echo an error >&2; while sleep 1; do echo still here; done']
  syslog:
    image: busybox
    logging: {driver: syslog, options: {tag: 'from-{{.Name}}', syslog-facility: local1}}
    command: [sh, -c, 'echo to syslog']
"""


class JournalTest(unittest.TestCase):
    def test_lines_of_containers_are_in_the_journal(self):
        output, code = boot(INSTALL + f"""
            systemctl start composed
            compose load -i cache/busybox.tar
            mkdir stack && cd stack
            cat > compose.yaml <<'STACK'\n{STACK}\nSTACK
            compose --ansi never up -d
            shown() {{ for _ in $(seq 100); do journalctl -q --no-pager "$@" | grep -q . && return; sleep 0.2; done; return 1; }}
            shown CONTAINER_NAME=l-journal-1 PRIORITY=3
            shown SYSLOG_IDENTIFIER=from-l-syslog-1
            journalctl -q --no-pager -o json CONTAINER_NAME=l-journal-1 | head -n 2 | sed 's/^/native: /'
            journalctl -q --no-pager -o json SYSLOG_IDENTIFIER=from-l-syslog-1 | sed 's/^/syslog: /'
            compose logs --no-log-prefix syslog | grep -x 'to syslog'
            systemctl restart systemd-journald
            since=$(date +%s)
            sleep 3
            shown CONTAINER_NAME=l-journal-1 --since @$since --grep 'still here'
            compose --ansi never down -t 0
            """, timeout=400)
        self.assertEqual(code, 0, output[-6000:])
        entries = {}
        for line in output.splitlines():
            for kind in "native: ", "syslog: ":
                if line.startswith(kind):
                    entry = json.loads(line.removeprefix(kind))
                    entries[entry["MESSAGE"]] = entry
        native, error, syslog = entries["to the journal"], entries["an error"], entries["to syslog"]
        for each in native, error:
            self.assertEqual({name: each.get(name) for name in ("CONTAINER_TAG", "IMAGE_NAME", "TEAM_NAME", "_TRANSPORT")}, {
                "CONTAINER_TAG": "tag of l-journal-1", "IMAGE_NAME": "busybox", "TEAM_NAME": "blue", "_TRANSPORT": "journal"})
            self.assertTrue(each["CONTAINER_ID_FULL"].startswith(each["CONTAINER_ID"]))
        self.assertEqual((native["PRIORITY"], error["PRIORITY"]), ("6", "3"))
        self.assertEqual((syslog["PRIORITY"], syslog["SYSLOG_FACILITY"], syslog["_TRANSPORT"]), ("6", "17", "syslog"))


if __name__ == "__main__":
    unittest.main()
