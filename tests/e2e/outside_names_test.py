"""Names that are not the project's go to the host's servers, and only those."""
import contextlib
import pathlib
import random
import shutil
import socket
import struct
import tempfile
import threading
import unittest

from harness import DaemonTest

SLEEPER = "image: busybox, init: true, command: sleep 1000"
A, AAAA = 1, 28
BIG = [f"192.0.2.{number}" for number in range(1, 101)]  # too many for a datagram of 512 bytes
ZONE = {"example.test": ["192.0.2.7"], "big.test": BIG}


class NameServer:
    """Answers from ZONE on UDP and TCP port 53 of an address of its own on loopback, and keeps what it was asked."""

    def __init__(self):
        self.asked = []
        self.streams = 0
        self.address = f"127.{random.randint(2, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((self.address, 53))
        self.tcp = socket.create_server((self.address, 53))
        for each in (self.udp, self.tcp):
            each.settimeout(0.1)
        self.closed = False
        self.threads = [threading.Thread(target=each, daemon=True) for each in (self.serve_udp, self.serve_tcp)]
        for each in self.threads:
            each.start()

    def close(self):
        self.closed = True
        for each in self.threads:
            each.join()
        self.udp.close()
        self.tcp.close()

    def answer(self, query, limit):
        name, at = [], 12
        while query[at]:
            name.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question, (kind,) = query[12:at + 5], struct.unpack("!H", query[at + 1:at + 3])
        name = ".".join(name).lower()
        self.asked.append(name)
        addresses = ZONE.get(name, []) if kind == A else []
        records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 5, 4) + socket.inet_aton(each) for each in addresses)
        code = 0 if name in ZONE else 3
        truncated = 12 + len(question) + len(records) > limit
        if truncated:
            addresses, records = [], b""
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code | (0x0200 if truncated else 0), 1, len(addresses), 0, 0)
        return head + question + records

    def serve_udp(self):
        while not self.closed:
            with contextlib.suppress(TimeoutError):
                query, asker = self.udp.recvfrom(4096)
                self.udp.sendto(self.answer(query, 512), asker)

    def serve_tcp(self):
        while not self.closed:
            with contextlib.suppress(TimeoutError):
                stream, _ = self.tcp.accept()
                with stream:
                    length = stream.recv(2)
                    reply = self.answer(stream.recv(struct.unpack("!H", length)[0]), 65535)
                    stream.sendall(struct.pack("!H", len(reply)) + reply)
                    self.streams += 1


class OutsideNamesTest(DaemonTest):
    def setUp(self):
        self.server = NameServer()
        self.addCleanup(lambda: self.server.close())
        own = pathlib.Path(tempfile.mkdtemp(prefix="composed-names-"))
        self.addCleanup(shutil.rmtree, own)
        (own / "resolv.conf").write_text(f"nameserver {self.server.address}\n")
        self.files = {"/etc/resolv.conf": own / "resolv.conf"}
        super().setUp()
        self.write(f"name: names\nservices:\n  a: {{{SLEEPER}}}\n  b: {{{SLEEPER}, networks: {{default: {{aliases: [bee]}}}}}}\n"
                   f"  hidden: {{{SLEEPER}, networks: [closed]}}\nnetworks: {{closed: {{internal: true}}}}\n")
        self.compose("up", "-d")

    def ask(self, service, name, kind="a"):
        return self.compose("exec", "-T", service, "nslookup", f"-type={kind}", name, check=False)

    def test_a_name_of_the_outside_is_found(self):
        self.assertIn("192.0.2.7", self.ask("a", "example.test").stdout)
        self.assertIn("example.test", self.server.asked)

    def test_a_name_that_does_not_exist_is_said_so(self):
        self.assertIn("NXDOMAIN", self.ask("a", "nobody.test").stdout)

    def test_a_long_answer_comes_over_tcp(self):
        # busybox has no resolver that goes on over TCP: a query of our own to the server in the container's namespace.
        query = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\x03big\x04test\x00" + struct.pack("!HH", A, 1)
        script = "printf '" + "".join(f"\\{byte:03o}" for byte in struct.pack("!H", len(query)) + query) + \
            "' | nc -w 3 127.0.0.11 53 | od -An -v -tx1 | tr -d ' \\n'"
        reply = bytes.fromhex(self.compose("exec", "-T", "a", "sh", "-c", script).stdout)
        self.assertEqual(struct.unpack("!H", reply[:2])[0], len(reply) - 2)
        self.assertEqual(struct.unpack("!H", reply[8:10])[0], len(BIG))
        self.assertEqual(self.server.streams, 1)

    def test_the_projects_names_stay_inside(self):
        for name in ("b", "bee", "names-b-1"):
            self.assertIn(self.container("b")["networks"]["names_default"], self.ask("a", name).stdout)
            self.ask("a", name, "aaaa")
        self.assertEqual(self.server.asked, [])

    def test_an_internal_network_asks_nobody(self):
        self.assertIn("NXDOMAIN", self.ask("hidden", "example.test").stdout)
        self.assertEqual(self.server.asked, [])

    def test_without_the_server_the_projects_names_are_found_all_the_same(self):
        self.server.close()
        self.assertIn("names-b-1", self.ask("a", "names-b-1").stdout)
        self.assertIn("SERVFAIL", self.ask("a", "example.test").stdout)


if __name__ == "__main__":
    unittest.main()
