"""Every case of this folder read by Docker Compose 2.40 and by ours: both refuse it, or both mean the same by it.

A case is NAME.yaml, or a folder NAME with compose.yaml, what it needs beside it and, where there are, `arguments` before
`config`, a line each. What is meant to differ stands in differences.md with its reason; what stands there and does not
differ any more fails the test too. What we print, read again, is the same: nothing is lost on the way.
The flags of `config` are compared too, over all cases or every few of them; over cases that begin with their name in any case.

    differential_test.py [NAME…]           shows how these differ
    differential_test.py --FLAG… [NAME…]   the same with flags of `config`
"""
import concurrent.futures
import contextlib
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

import yaml

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


# Of the cases every N-th is tried with the flags, of each others: what they change is in the forms of few attributes.
FLAGS = {"--no-interpolate": 2, "--no-normalize": 4, "--no-path-resolution": 4, "--no-env-resolution": 12,
         "--no-consistency": 12, "--no-interpolate --no-normalize": 12, "": 6, "--services": 12, "--volumes": 12,
         "--networks": 12, "--images": 12, "--profiles": 12, "--models": 12, "--hash *": 12, "--environment": 12, "--variables": 8}


def known_differences(flags=None):
    """NAME -> reason, of lines "- `NAME`: reason": without flags those outside of the sections `With FLAGS`."""
    text = (HERE / "differences.md").read_text()
    sections = [each.partition("\n") for each in re.split("^## ", text, flags=re.MULTILINE)]
    chosen = "\n".join(body for head, _, body in sections
                       if (not head.startswith("With `") if flags is None else head == f"With `{flags}`"))
    return {name: reason for names, reason in re.findall(r"^- ((?:`\w+`,? ?)+): (.+)", chosen, re.MULTILINE)
            for name in re.findall(r"`(\w+)`", names)}


def run(program, folder, *arguments):
    return subprocess.run([program, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, errors="backslashreplace",
                          timeout=60)


@contextlib.contextmanager
def laid_out(source):
    """The folder of a case, and the arguments that it has before `config`."""
    with tempfile.TemporaryDirectory(prefix="composed-corpus-") as scratch:
        folder = pathlib.Path(scratch) / "case"
        if source.is_dir():
            shutil.copytree(source, folder)
        else:
            folder.mkdir()
            shutil.copy(source, folder / "compose.yaml")
        given = folder / "arguments"
        yield folder, given.read_text().split("\n")[:-1] if given.exists() else []


class Case:
    def __init__(self, name, source, reference):
        self.name = name
        with laid_out(source) as (folder, arguments):
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
                    "--profile", "*", "--all-resources", "config", "--format", "json")
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


def reader_of(flags):
    """What makes of an output with these flags what must be equal in it: order is chance where it is no JSON."""
    if flags == ["--variables"]:  # of a variable in several places Docker Compose prints the default of any
        return lambda text: sorted(json.loads(text))
    if all(flag.startswith("--no-") for flag in flags):
        return json.loads if flags else read_yaml
    if "--hash" in flags:  # each engine has its own
        return lambda text: sorted(line.split()[0] for line in text.splitlines())
    return lambda text: sorted(text.splitlines())


class Reader(yaml.SafeLoader):
    pass


# `=` is a value of YAML 1.1 that Python has no type for.
Reader.add_constructor("tag:yaml.org,2002:value", lambda reader, node: reader.construct_scalar(node))


def read_yaml(text):
    return yaml.load(text, Reader)


def compare_with(flags, source, reference):
    """How the two differ with these flags; None when only ours refuses, what both refuse without flags."""
    as_json = ["--format", "json"] if flags and (flags == ["--variables"] or reader_of(flags) is json.loads) else []
    with laid_out(source) as (folder, arguments):
        theirs = run(reference, folder, *arguments, "config", *flags, *as_json)
        ours = run(BIN / "compose", folder, *arguments, "config", *flags, *as_json)
        if theirs.returncode == 0 and ours.returncode != 0:
            if run(reference, folder, *arguments, "config").returncode != 0:
                return None
    if (theirs.returncode == 0) != (ours.returncode == 0):
        return (f"Docker Compose: exit {theirs.returncode} {theirs.stderr.strip()[-400:]}\n"
                f"compose: exit {ours.returncode} {ours.stderr.strip()[-400:]}")
    if ours.returncode != 0:
        return ""
    return difference(*(reader_of(flags)(each.stdout) for each in (theirs, ours)))


def difference(one, other):
    lines = [json.dumps(each, indent=1, sort_keys=True, default=str).splitlines() for each in (one, other)]
    return "\n".join(list(difflib.unified_diff(*lines, "Docker Compose", "compose", lineterm="", n=1))[2:])


def reference_program():
    return peer.make_root() / "usr/libexec/docker/cli-plugins/docker-compose"


def run_all(names):
    reference = reference_program()
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

    def test_the_same_variables_are_told_to_be_unset(self):
        for case in self.cases:
            if case.ours.returncode == case.theirs.returncode == 0 and not case.difference():
                with self.subTest(case.name):
                    theirs, ours = (set(re.findall(r'The \\?"(\w+)\\?" variable is not set', each.stderr))
                                    for each in (case.theirs, case.ours))
                    self.assertEqual(theirs, ours)

    def test_our_errors_have_a_place(self):
        """FILE, line and column, and something to read, wherever a compose file is to blame."""
        for case in self.cases:
            if case.ours.returncode == 0 or re.match(r"args|dotenv|file_names|merge_file_missing|name_argument|project_dotenv", case.name):
                continue
            with self.subTest(case.name):
                if case.ours.stderr.startswith("["):
                    for each in json.loads(case.ours.stderr):
                        self.assertRegex(each["file"], r"\.(ya?ml|env)$")
                        self.assertGreater(min(each["line"], each["column"]), 0)
                        self.assertTrue(each["message"])
                else:
                    self.assertRegex(case.ours.stderr, r"\.(ya?ml|env):\d+:\d+: ")


class FlagsTest(unittest.TestCase):
    def test_flags_mean_the_same(self):
        reference = reference_program()
        for flags, every in FLAGS.items():
            with self.subTest(flags or "(YAML)"):
                self.compare(flags, every, reference)

    def compare(self, flags, every, reference):
        anyhow, known = known_differences(), known_differences(flags)
        chosen = {name: source for index, (name, source) in enumerate(cases().items(), list(FLAGS).index(flags))
                  if index % every == 0 or name in known or flags and name.startswith(flags.strip("-").replace("-", "_"))}
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            found = dict(zip(chosen, pool.map(lambda source: compare_with(flags.split(), source, reference),
                                              chosen.values())))
        stricter = sum(each is None for each in found.values())
        wrong = [f"{name}:\n{each}" for name, each in found.items() if each and name not in known | anyhow]
        wrong += [f"{name} does not differ any more: take it out of differences.md" for name in known if not found[name]]
        print(f"config {flags or '(YAML)'}: of {len(found)} cases {sum(each == '' for each in found.values())} agree, "
              f"{sum(bool(each) for each in found.values())} differ as differences.md says, "
              f"{stricter} are refused here, as both do without flags")
        self.assertEqual(len(wrong), 0, "\n\n".join(wrong))


class ServicesTest(unittest.TestCase):
    """Services named to `config`, with flags: what Docker Compose prints of these and of what they depend on."""

    def test_images_of_what_a_service_depends_on_too(self):
        reference = reference_program()
        with tempfile.TemporaryDirectory(prefix="composed-corpus-") as folder:
            (pathlib.Path(folder) / "compose.yaml").write_text(
                "services: {a: {image: one, depends_on: [b]}, b: {image: two}, c: {build: .}}\n")
            for services in (["a"], ["b"], ["c", "b"]):
                theirs, ours = (run(each, folder, "-p", "p", "config", "--images", *services) for each in (reference, BIN / "compose"))
                self.assertEqual(sorted(theirs.stdout.split()), sorted(ours.stdout.split()), services)

    def test_naming_a_service_puts_its_profiles_on_for_what_it_depends_on(self):
        reference = reference_program()
        with tempfile.TemporaryDirectory(prefix="composed-corpus-") as folder:
            (pathlib.Path(folder) / "compose.yaml").write_text("""services:
  a: {image: i, profiles: [p], depends_on: {b: {condition: service_started, required: false}, e: {condition: service_started}}}
  b: {image: i, profiles: [p], network_mode: 'service:d'}
  c: {image: i, profiles: [p]}
  d: {image: i, profiles: [p, r]}
  e: {image: i}
  g: {image: i, profiles: [q], depends_on: {c: {condition: service_started, required: false}}}
""")
            for services in ([], ["a"], ["a", "c"], ["b"], ["e"], ["g"], ["g", "c"]):
                theirs, ours = (json.loads(run(each, folder, "-p", "p", "config", "--format", "json", *services).stdout)["services"]
                                for each in (reference, BIN / "compose"))
                self.assertEqual(theirs, ours, services)

    def test_images_of_steps_before_a_start_too(self):
        with tempfile.TemporaryDirectory(prefix="composed-corpus-") as folder:
            (pathlib.Path(folder) / "compose.yaml").write_text(
                "services: {a: {image: one, pre_start: [{command: x, image: two}, {command: y}, {command: z, image: two}]}}\n")
            self.assertEqual(run(BIN / "compose", folder, "config", "--images").stdout.split(), ["one", "two"])

    def test_label_files_of_named_services_are_read(self):
        """Which there are printed as they are."""
        with tempfile.TemporaryDirectory(prefix="composed-corpus-") as folder:
            (pathlib.Path(folder) / "compose.yaml").write_text("services: {a: {image: i, label_file: l.env}}\n")
            (pathlib.Path(folder) / "l.env").write_text("one=1\n")
            for services in [], ["a"]:
                printed = json.loads(run(BIN / "compose", folder, "config", "--format", "json", *services).stdout)
                self.assertEqual(printed["services"]["a"]["labels"], {"one": "1"})

    def test_resources_that_no_named_service_uses(self):
        reference = reference_program()
        with tempfile.TemporaryDirectory(prefix="composed-corpus-") as folder:
            (pathlib.Path(folder) / "compose.yaml").write_text(
                "services: {a: {image: i}, b: {image: i, networks: [x]}}\nnetworks: {n: {}, x: }\nvolumes: {vol: }\n")
            for rest in (["--format", "json", "a"], ["--format", "json"], ["--format", "json", "--no-interpolate"]):
                theirs, ours = (json.loads(run(each, folder, "-p", "p", "--all-resources", "config", *rest).stdout)
                                for each in (reference, BIN / "compose"))
                self.assertEqual(theirs, ours, rest)
            for listing in "--volumes", "--networks":
                theirs, ours = (run(each, folder, "-p", "p", "--all-resources", "config", listing).stdout
                                for each in (reference, BIN / "compose"))
                self.assertEqual(sorted(theirs.split()), sorted(ours.split()), listing)


class FailuresTest(unittest.TestCase):
    """`config --format json` says in JSON whatever it is that fails, with as much of a place as there is."""

    def failure(self, text, *arguments):
        with tempfile.TemporaryDirectory(prefix="composed-corpus-") as folder:
            if text is not None:
                (pathlib.Path(folder) / "compose.yaml").write_text(text)
            ran = run(BIN / "compose", folder, *arguments)
        self.assertEqual((ran.returncode, ran.stdout), (1, ""))
        (told,) = json.loads(ran.stderr)
        return told

    def test_what_is_no_fault_of_a_file(self):
        config = ("config", "--format", "json")
        valid = "services: {web: {image: i}}\n"
        for told, message in ((self.failure(None, *config), "no configuration file"),
                              (self.failure(valid, *config, "wbe"), 'no such service: wbe, did you mean "web"?'),
                              (self.failure(valid, "-p", "A B", *config), 'invalid project name "A B"'),
                              (self.failure(valid, "--env-file", "", *config), "--env-file")):
            with self.subTest(message):
                self.assertEqual(set(told), {"path", "message"})
                self.assertIn(message, told["message"])

    def test_a_file_that_is_not_there_has_no_line(self):
        told = self.failure(None, "-f", "gone.yaml", "config", "--format", "json")
        self.assertEqual(set(told), {"file", "path", "message"})
        self.assertTrue(told["file"].endswith("/gone.yaml"))


def show_flags(arguments):
    flags = [each for each in arguments if each.startswith("--") or each == "*"]
    for name in [each for each in arguments if each not in flags] or cases():
        if found := compare_with(flags, cases()[name], reference_program()):
            print(f"## {name}\n{found}")


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("--"):
        show_flags(sys.argv[1:])
    elif len(sys.argv) > 1 and sys.argv[1] != "-v":
        for found in run_all(sys.argv[1:]):
            print(f"## {found.name}\n{found.difference()}\nlost: {found.lost}")
    else:
        unittest.main(verbosity=2)
