"""What is too much ends in an error or an answer, in a time and a memory that are known beforehand."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from harness import BIN  # noqa: E402

SECONDS = 5
MEBIBYTES = 512


class BoundsTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="composed-bounds-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def config(self, text, **more):
        """Exit status and the last line of the errors, of a run that kept to the bounds."""
        (self.folder / "compose.yaml").write_text(text)
        for name, content in more.items():
            (self.folder / f"{name}.yaml").write_text(content)
        errors = self.folder / "errors"
        began = time.monotonic()
        with errors.open("w") as into:
            program = subprocess.Popen([BIN / "compose", "config", "-q"], cwd=self.folder, stdout=into, stderr=into)
            _, status, used = os.wait4(program.pid, 0)
            program.returncode = os.waitstatus_to_exitcode(status)
        took, memory = time.monotonic() - began, used.ru_maxrss / 1024
        print(f"{self.id().split('.')[-1]}: exit {program.returncode}, {took * 1000:.0f} ms, {memory:.0f} MiB")
        self.assertLess(took, SECONDS)
        self.assertLess(memory, MEBIBYTES)
        return program.returncode, (errors.read_text().splitlines() or [""])[-1]

    def test_ten_thousand_services(self):
        services = "".join(f"  s{number}: {{image: 'x:{number}', environment: {{A: '1'}}, ports: ['80'], depends_on: [s{number - 1}]}}\n"
                           for number in range(1, 10_000))
        self.assertEqual(self.config("services:\n  s0: {image: x}\n" + services), (0, ""))

    def test_ten_thousand_services_that_extend_one_another(self):
        services = "".join(f"  s{number}: {{extends: s{number - 1}}}\n" for number in range(1, 10_000))
        status, said = self.config("services:\n  s0: {image: x, labels: {a: b}}\n" + services)
        self.assertTrue(status == 0 or "extends" in said, said)

    def test_a_large_service_that_many_extend(self):
        labels = "".join(f"      l{number}: x\n" for number in range(20_000))
        more = "".join(f"  s{number}: {{extends: base}}\n" for number in range(9_999))
        status, said = self.config(f"services:\n  base:\n    image: x\n    labels:\n{labels}{more}")
        self.assertEqual(status, 1)
        self.assertIn("is extended is written out", said)

    def test_ranges_of_ports(self):
        service = "  s%d: {image: x, ports: ['1-65535:1-65535', '1-65535:1-65535/udp']}\n"
        status, said = self.config("services:\n" + "".join(service % number for number in range(50)))
        self.assertEqual(status, 1)
        self.assertIn("all ranges are written out", said)

    def test_a_hundred_thousand_variables(self):
        variables = "".join(f"      - N{number}=x\n" for number in range(100_000))
        self.assertEqual(self.config(f"services:\n  a:\n    image: x\n    environment:\n{variables}"), (0, ""))
        (self.folder / "many.env").write_text("".join(f"N{number}=x\n" for number in range(100_000)))
        self.assertEqual(self.config("services: {a: {image: x, env_file: many.env}}\n"), (0, ""))

    def test_fifty_thousand_networks_secrets_and_hosts(self):
        names = [f"n{number}" for number in range(50_000)]
        service = f"services: {{a: {{image: x, networks: [{','.join(names)}]}}}}\n"
        networks = "networks:\n" + "".join(f"  {name}: {{}}\n" for name in names)
        self.assertEqual(self.config(service + networks), (0, ""))
        self.assertEqual(self.config(service + networks + "---\n" + networks), (0, ""))
        self.assertIn("undefined network", self.config(service + "networks:\n" + networks[networks.index("  n48000:"):])[1])
        secrets = "secrets:\n" + "".join(f"  {name}: {{file: x}}\n" for name in names)
        self.assertEqual(self.config(f"services: {{a: {{image: x, secrets: [{','.join(names)}]}}}}\n" + secrets), (0, ""))
        hosts = ",".join(f"{name}=1.1.1.1" for name in names)
        self.assertEqual(self.config(f"services: {{a: {{image: x, extra_hosts: [{hosts}]}}}}\n"), (0, ""))

    def test_aliases_of_aliases(self):
        lines = ["x-0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
        lines += [f"x-{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 10)}]" for level in range(1, 12)]
        status, said = self.config("\n".join(lines) + "\nservices: {a: {image: x}}\n")
        self.assertEqual(status, 1)
        self.assertIn("once aliases are written out", said)

    def test_aliases_of_one_large_value(self):
        status, said = self.config("x-a: &a [" + "x, " * 100_000 + "x]\nx-b:\n" + "  - *a\n" * 1000 + "services: {a: {image: x}}\n")
        self.assertEqual(status, 1)
        self.assertIn("once aliases are written out", said)

    def test_depth(self):
        for text in ("[" * 100_000, "x-a: " + "{a: " * 5000 + "1" + "}" * 5000, "- " * 5000 + "x"):
            status, said = self.config(text + "\n")
            self.assertEqual(status, 1)
            self.assertRegex(said, "deep|not YAML")

    def test_a_large_file(self):
        status, said = self.config("x-a: '" + "y" * (17 << 20) + "'\n")
        self.assertEqual(status, 1)
        self.assertIn("larger than 16777216 bytes", said)
        self.assertEqual(self.config("services: {a: {image: x}}\nx-a:\n" + "  - 'some text'\n" * 200_000), (0, ""))

    def test_files_that_include_one_another(self):
        self.assertIn("include", self.config("include: [compose.yaml]\n")[1])
        chain = {f"f{number}": f"include: [f{number + 1}.yaml]\n" for number in range(200)}
        status, said = self.config("include: [f0.yaml]\n", **chain, f200="services: {a: {image: x}}\n")
        self.assertTrue(status == 0 or "include" in said, said)
        twice = {f"g{number}": f"include: [g{number + 1}.yaml, ./g{number + 1}.yaml]\n" for number in range(40)}
        status, said = self.config("include: [g0.yaml]\n", **twice, g40="services: {a: {image: x}}\n")
        self.assertTrue(status == 0 or "include" in said, said)

    def test_variables_that_double_with_each_line(self):
        (self.folder / ".env").write_text("A=0123456789\n" + "A=$A$A\n" * 100)
        status, said = self.config("services: {a: {image: '$A'}}\n")
        self.assertEqual(status, 1)
        self.assertIn("longer than", said)
        (self.folder / ".env").write_text("A=" + "x" * 100_000 + "\n")
        for text in "$A" * 1000, "$A'\n      - '$A" * 1000:
            status, said = self.config("services:\n  a:\n    image: x\n    command:\n      - '" + text + "'\n")
            self.assertEqual(status, 1)
            self.assertIn("longer than", said)

    def test_a_variable_within_a_variable(self):
        status, said = self.config("services: {a: {image: '" + "${A-" * 50_000 + "}" * 50_000 + "'}}\n")
        self.assertTrue(status == 0 or "image" in said or "deep" in said, said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
