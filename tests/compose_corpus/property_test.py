"""What holds of every project, tried on projects made by chance (random_test.py): SEED=N repeats a run, COUNT=N tries another number."""
import concurrent.futures
import json
import os
import pathlib
import tempfile
import unittest

import yaml

from differential_test import difference, run
from harness import BIN
from random_test import SEED, Maker

COUNT = int(os.environ.get("COUNT", "200"))
VARIABLE_KEYS = "labels", "annotations", "environment", "sysctls"


class Project:
    """One project in a folder of its own, and what our `config` makes of it."""

    def __init__(self, seed, scratch):
        maker = Maker(seed)
        self.made = maker.project()
        for service in self.made["services"].values():
            for key in VARIABLE_KEYS:
                if isinstance(service.get(key), dict):
                    service[key]["key.${SET}"] = "value ${SET}"
        self.folder = pathlib.Path(scratch) / "case"
        self.folder.mkdir()
        self.write("compose.yaml", self.made)
        (self.folder / "e.env").write_text(maker.env_file())

    def write(self, name, what):
        (self.folder / name).write_text(yaml.safe_dump(what, sort_keys=False, allow_unicode=True))

    def config(self, *arguments, files=("compose.yaml",)):
        named = [word for file in files for word in ("-f", file)]
        done = run(BIN / "compose", self.folder, "-p", "given", "--profile", "*", *named, "config", "--format", "json", *arguments)
        return json.loads(done.stdout) if done.returncode == 0 else None


def printed_reads_back_the_same(project, read):
    again = run(BIN / "compose", project.folder, "-p", "given", "--profile", "*", "config")
    (project.folder / "again.yaml").write_text(again.stdout)
    return difference(read, project.config(files=("again.yaml",)))


def an_empty_override_changes_nothing(project, read):
    for name, empty in (("nothing", {}), ("no_services", {"services": {}, "volumes": {}, "networks": {}}),
                        ("empty_services", {"services": {service: {} for service in project.made["services"]}})):
        project.write(f"{name}.yaml", empty)
        for files in ("compose.yaml", f"{name}.yaml"), (f"{name}.yaml", "compose.yaml"):
            differs = difference(read, project.config(files=files))
            if differs:
                return f"{files}: {differs}"
    return ""


def interpolation_changes_no_keys(project, read):
    for name, service in project.made["services"].items():
        for key in VARIABLE_KEYS:
            if isinstance(service.get(key), dict) and set(map(str, service[key])) != set(read["services"][name][key]):
                return f"{name}.{key}: {sorted(service[key])} became {sorted(read['services'][name][key])}"
    return ""


def a_file_over_itself_is_itself(project, read):
    """Where lists are sets; what is appended by the rules doubles, and is left out."""
    project.made.pop("x-top", None)
    for service in project.made["services"].values():
        for appended in "post_start", "x-own", "gpus":
            service.pop(appended, None)
    project.write("less.yaml", project.made)
    once = project.config(files=("less.yaml",))
    twice = project.config(files=("less.yaml", "less.yaml"))
    if once is None or twice is None:
        return "" if once == twice else "refused only once"
    for one in once, twice:
        for service in one["services"].values():
            for appended in "deploy", "healthcheck", "build":
                service.pop(appended, None)
    return difference(once, twice)


PROPERTIES = (printed_reads_back_the_same, an_empty_override_changes_nothing, interpolation_changes_no_keys, a_file_over_itself_is_itself)


def broken(seed):
    """(whether the project is valid, "property: difference" of what does not hold)."""
    with tempfile.TemporaryDirectory(prefix="composed-property-") as scratch:
        project = Project(seed, scratch)
        read = project.config()
        if read is None:
            return False, []
        return True, [f"{holds.__name__}: {differs}" for holds in PROPERTIES if (differs := holds(project, read))]


class PropertyTest(unittest.TestCase):
    def test_they_hold_of_what_chance_makes(self):
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(lambda seed: (seed, *broken(seed)), range(SEED, SEED + COUNT)))
        valid = sum(good for _, good, _ in found)
        wrong = [f"SEED={seed} COUNT=1:\n" + "\n".join(what) for seed, _, what in found if what]
        print(f"seed {SEED}: {COUNT} projects, {valid} valid, {len(PROPERTIES)} properties, {len(wrong)} broken")
        self.assertGreater(valid, COUNT * 0.8, "most should be valid")
        self.assertEqual(len(wrong), 0, "\n".join(wrong[:5]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
