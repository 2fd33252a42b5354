"""Every case of this folder read by Docker Compose 2.40 and by ours: both refuse it, or both mean the same by it.

A case is NAME.yaml, or a folder NAME with compose.yaml, what it needs beside it and, where there are, `arguments` before
`config`, a line each. What is meant to differ stands in differences.md with its reason; what stands there and does not
differ any more fails the test too. What we print, read again, is the same: nothing is lost on the way.

    differential_test.py [NAME…]    shows how these differ
"""
import concurrent.futures
import difflib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE.parent / "e2e"), str(HERE.parent / "bench")]
from harness import BIN  # noqa: E402
import peer  # noqa: E402

ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/root", "SET": "val", "EMPTY": "", "PORT": "8081", "N": "3"}


def cases():
    """Name and what makes its folder."""
    found = {each.stem: each for each in HERE.glob("*.yaml")}
    found |= {each.name: each for each in HERE.iterdir() if each.is_dir() and each.name != "__pycache__"}
    return dict(sorted(found.items()))


def known_differences():
    """NAME -> reason, of lines "- `NAME`: reason"."""
    text = (HERE / "differences.md").read_text()
    return {name: reason for names, reason in re.findall(r"^- ((?:`\w+`,? ?)+): (.+)", text, re.MULTILINE)
            for name in re.findall(r"`(\w+)`", names)}


def run(program, folder, *arguments):
    return subprocess.run([program, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, errors="backslashreplace",
                          timeout=60)


class Case:
    def __init__(self, name, source, reference):
        self.name = name
        with tempfile.TemporaryDirectory(prefix="composed-corpus-") as scratch:
            folder = pathlib.Path(scratch) / "case"
            if source.is_dir():
                shutil.copytree(source, folder)
            else:
                folder.mkdir()
                shutil.copy(source, folder / "compose.yaml")
            given = folder / "arguments"
            arguments = given.read_text().split("\n")[:-1] if given.exists() else []
            self.theirs = run(reference, folder, *arguments, "config", "--format", "json")
            self.ours = run(BIN / "compose", folder, *arguments, "config", "--format", "json")
            self.lost = self.read_again(folder, arguments) if self.ours.returncode == 0 else ""

    def read_again(self, folder, arguments):
        """What changes when our YAML is read once more."""
        printed = run(BIN / "compose", folder, *arguments, "config")
        # Out of reach of the case's .env and override files.
        (folder / "again").mkdir()
        (folder / "again" / "again.yaml").write_text(printed.stdout)
        again = run(BIN / "compose", folder / "again", "--project-directory", ".", "-f", "again.yaml",
                    "--profile", "*", "config", "--format", "json")
        if again.returncode != 0:
            return again.stderr
        return difference(json.loads(self.ours.stdout), json.loads(again.stdout))

    def difference(self):
        """How the two differ; empty when they do not."""
        if (self.theirs.returncode == 0) != (self.ours.returncode == 0):
            return (f"Docker Compose: exit {self.theirs.returncode} {self.theirs.stderr.strip()[-400:]}\n"
                    f"compose: exit {self.ours.returncode} {self.ours.stderr.strip()[-400:]}")
        if self.ours.returncode != 0:
            return "" if not self.ours.stdout else "something on standard output although it failed"
        return difference(json.loads(self.theirs.stdout), json.loads(self.ours.stdout))


def difference(one, other):
    lines = [json.dumps(each, indent=1, sort_keys=True).splitlines() for each in (one, other)]
    return "\n".join(list(difflib.unified_diff(*lines, "Docker Compose", "compose", lineterm="", n=1))[2:])


def run_all(names):
    reference = peer.make_root() / "usr/libexec/docker/cli-plugins/docker-compose"
    chosen = {name: source for name, source in cases().items() if not names or name in names}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda each: Case(*each, reference), chosen.items()))


class DifferentialTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cases = run_all([])

    def test_both_mean_the_same(self):
        known = known_differences()
        self.assertEqual(set(known) - {case.name for case in self.cases}, set(), "differences of cases that there are none of")
        wrong = []
        for case in self.cases:
            differs = case.difference()
            if differs and case.name not in known:
                wrong.append(f"{case.name}:\n{differs}")
            elif not differs and case.name in known:
                wrong.append(f"{case.name} does not differ any more: take it out of differences.md")
        print(f"{len(self.cases)} cases, {len(known)} of them differ as differences.md says")
        self.assertEqual(len(wrong), 0, "\n\n".join(wrong))

    def test_what_is_printed_reads_back_the_same(self):
        lost = [f"{case.name}:\n{case.lost}" for case in self.cases if case.lost]
        self.assertEqual(len(lost), 0, "\n\n".join(lost))

    def test_our_errors_have_a_place(self):
        """FILE, line and column, and something to read, wherever a compose file is to blame."""
        for case in self.cases:
            if case.ours.returncode == 0 or re.match(r"args|dotenv|file_names|merge_file_missing|name_argument|project_dotenv", case.name):
                continue
            with self.subTest(case.name):
                if case.ours.stderr.startswith("["):
                    for each in json.loads(case.ours.stderr):
                        self.assertRegex(each["file"], r"\.ya?ml$")
                        self.assertGreater(min(each["line"], each["column"]), 0)
                        self.assertTrue(each["message"])
                else:
                    self.assertRegex(case.ours.stderr, r"\.ya?ml:\d+:\d+: ")


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] != "-v":
        for found in run_all(sys.argv[1:]):
            print(f"## {found.name}\n{found.difference()}\nlost: {found.lost}")
    else:
        unittest.main(verbosity=2)
