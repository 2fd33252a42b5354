"""`config -q`: reading a file of ten services, and one of a thousand with anchors and extends, against Docker Compose 2.40."""
import os
import pathlib
import resource
import subprocess
import tempfile

from figures import in_turn
from harness import BIN
import peer

HEAD = """x-base: &base
  environment: {A: 1, B: two, C: '${HOME}'}
  restart: unless-stopped
  logging: {driver: json-file, options: {max-size: 10m}}
  healthcheck: {test: [CMD, 'true'], interval: 10s}
services:
  template: {image: template, labels: {from: template}}
"""
TAIL = "volumes: {data: }\nnetworks:\n" + "".join(f"  n{i}: \n" for i in range(10))


def service(number):
    after = f"    depends_on: {{s{number - 1}: {{condition: service_healthy}}}}\n" if number % 50 else ""
    return (f"  s{number}:\n    <<: *base\n    extends: template\n    image: image:{number}\n    ports: ['{10000 + number}:80']\n"
            f"    volumes: ['data:/data', './c{number}:/c:ro']\n    networks: [n{number % 10}]\n{after}")


class Program:
    def __init__(self, title, path, folder):
        self.title, self.path, self.folder = title, path, folder

    def read(self, count):
        subprocess.run([self.path, "-f", f"{count}.yaml", "config", "-q"], cwd=self.folder, check=True)


def one_round(program, name, figures):
    for count in 10, 1000:
        figures.timed(f"config -q of {count} services, ms", name, lambda: program.read(count))


def main():
    with tempfile.TemporaryDirectory(prefix="composed-bench-") as folder:
        for count in 10, 1000:
            text = HEAD + "".join(service(number) for number in range(count)) + TAIL
            (pathlib.Path(folder) / f"{count}.yaml").write_text(text)
        reference = peer.make_root() / "usr/libexec/docker/cli-plugins/docker-compose"
        ours = Program("ours", BIN / "compose", folder)
        theirs = Program("Docker Compose 2.40 of Debian sid", reference, folder)
        in_turn({"ours": ours, "peer": theirs}, one_round).print(
            {"config -q of 10 services, ms": "5", "config -q of 1000 services, ms": "10"})
        if os.fork() == 0:  # a child of its own: the figure is the largest of all children
            ours.read(1000)
            print(f"memory of ours, 1000 services: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB"
                  "   asked: at most 64")
            os._exit(0)
        os.wait()


if __name__ == "__main__":
    main()
