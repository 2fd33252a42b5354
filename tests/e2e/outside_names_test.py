"""Names outside the project: what goes on to the host's name servers, what does not, and what their failure does.

The daemon has a mount namespace of its own in which /etc/resolv.conf is ours; the name server in it is a thread of the
test, on a loopback address.
"""
import concurrent.futures
import contextlib
import ctypes
import os
import pathlib
import random
import socket
import struct
import subprocess
import threading
import time
import unittest

from harness import BIN, DaemonTest, wait_until

A, PTR, AAAA = 1, 12, 28
NO_ERROR, SERVER_FAILURE, NAME_ERROR = 0, 2, 3
CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE = 33
TYPES = {A: "A", PTR: "PTR", AAAA: "AAAA"}


def encode_name(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def decode_name(message, at):
    """The name at `at` and where it ends."""
    parts = []
    while message[at] != 0:
        if message[at] >= 0xC0:
            rest, _ = decode_name(message, struct.unpack_from("!H", message, at)[0] & 0x3FFF)
            return ".".join([*parts, rest]), at + 2
        parts.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(parts), at + 1


class NameServer:
    """example.test is 192.0.2.7; nNUMBER.test is 198.18.0.NUMBER; big.test has sixty addresses and says so over TCP alone."""

    def __init__(self):
        self.silent = False
        self.delay = 0  # of each reply
        self.streams = []
        self.asked = []  # "udp A example.test"
        while True:
            self.address = f"127.1.{random.randrange(256)}.{random.randrange(1, 255)}"
            try:
                self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                self.datagrams.bind((self.address, 53))
                self.listener = socket.create_server((self.address, 53))
                break
            except OSError:
                self.datagrams.close()
        self.threads = [threading.Thread(target=each) for each in (self.serve_datagrams, self.serve_streams)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        for each in (self.datagrams, self.listener):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes the thread; not connected, says the datagram socket
            each.close()
        for each in self.streams:
            each.close()
        for thread in self.threads:
            thread.join()
        self.threads = []

    def after_delay(self, send, *arguments):
        if self.delay:
            threading.Timer(self.delay, send, arguments).start()
        else:
            send(*arguments)

    def answer(self, query, transport):
        name, end = decode_name(query, 12)
        kind, = struct.unpack_from("!H", query, end)
        self.asked.append(f"{transport} {TYPES.get(kind, kind)} {name}")
        if self.silent or name.startswith("silent"):
            return b""
        addresses, code, truncated = self.look_up(name.lower(), transport)
        if kind != A:
            addresses = []
        header = query[:2] + struct.pack("!5H", 0x8180 | 0x0200 * truncated | code, 1, len(addresses), 0, 0)
        record = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 60, 4)
        return header + query[12:end + 4] + b"".join(record + socket.inet_aton(each) for each in addresses)

    @staticmethod
    def look_up(name, transport):
        if name == "example.test":
            return ["192.0.2.7"], NO_ERROR, False
        if name == "big.test":
            return ([], NO_ERROR, True) if transport == "udp" else ([f"198.19.0.{n}" for n in range(60)], NO_ERROR, False)
        if name.startswith("n") and name.endswith(".test"):
            return [f"198.18.0.{name[1:-5]}"], NO_ERROR, False
        return [], NAME_ERROR, False

    def serve_datagrams(self):
        with contextlib.suppress(OSError):
            while True:
                query, asker = self.datagrams.recvfrom(4096)
                if len(query) < 12:
                    return
                reply = self.answer(query, "udp")
                if reply:
                    self.after_delay(self.datagrams.sendto, reply, asker)

    def serve_streams(self):
        with contextlib.suppress(OSError):
            while True:
                stream, _ = self.listener.accept()
                self.streams.append(stream)
                with contextlib.suppress(OSError, IndexError, struct.error):
                    stream.settimeout(5)
                    reply = self.answer(stream.recv(65535)[2:], "tcp")
                    if reply:
                        self.after_delay(stream.sendall, struct.pack("!H", len(reply)) + reply)
                        continue
                stream.close()


def socket_in(pid, kind):
    """A socket in the network namespace of a process; a thread goes there, as it alone can be moved."""
    def make():
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/proc/{pid}/ns/net") as there:
            if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        return socket.socket(socket.AF_INET, kind)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(make).result()


def ask(pid, name, kind=A, tcp=False, timeout=5):
    """A question as a program in the container would put it: the code, whether truncated, the data of the answers."""
    number = random.randrange(65536)
    query = struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + encode_name(name) + struct.pack("!HH", kind, 1)
    with socket_in(pid, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as to:
        to.settimeout(timeout)
        to.connect(("127.0.0.11", 53))
        to.sendall(struct.pack("!H", len(query)) + query if tcp else query)
        if tcp:
            with to.makefile("rb") as stream:
                reply = stream.read(struct.unpack("!H", stream.read(2))[0])
        else:
            reply = to.recv(4096)
    assert struct.unpack_from("!H", reply)[0] == number, "the reply to another question"
    _, flags, _, count, _, _ = struct.unpack_from("!6H", reply)
    at = decode_name(reply, 12)[1] + 4
    found = []
    for _ in range(count):
        _, at = decode_name(reply, at)
        of_kind, _, _, length = struct.unpack_from("!HHIH", reply, at)
        at += 10
        found.append(socket.inet_ntoa(reply[at:at + 4]) if of_kind == A else decode_name(reply, at)[0])
        at += length
    return flags & 15, bool(flags & 0x0200), found


STACK = """
name: o
services:
  web:
    image: busybox
    init: true
    command: sleep 1000
    networks: {default: {aliases: [portal, www.example.test]}}
  app: {image: busybox, init: true, command: sleep 1000}
  both: {image: busybox, init: true, command: sleep 1000, networks: [default, inside]}
  hidden: {image: busybox, init: true, command: sleep 1000, networks: [inside]}
  secret: {image: busybox, init: true, command: sleep 1000, networks: [inside]}
networks:
  inside: {internal: true}
"""


class OutsideNamesTest(DaemonTest):
    def setUp(self):
        self.upstream = NameServer()
        self.addCleanup(self.upstream.stop)
        super().setUp()
        self.write(STACK)
        self.compose("up", "-d")
        self.of = {each["service"]: each for each in self.containers()}

    def start_daemon(self):
        """As the harness does, but with an /etc/resolv.conf of our own."""
        self.resolv_conf = self.folder / "resolv.conf"
        if not self.resolv_conf.exists():
            self.resolv_conf.write_text(f"search nowhere.test\nnameserver {self.upstream.address}\n")
        self.log = open(self.folder / "log", "a")
        self.daemon = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', self.resolv_conf,
             BIN / "composed", "--instance", self.instance, "--state", self.state, "--run", self.run_folder,
             "--config", "/dev/null", "--log-level", "debug"], stderr=self.log, stdout=self.log)
        wait_until(self.answers, 10, "the daemon to answer")
        self.assertEqual(os.readlink(f"/proc/{self.daemon.pid}/exe"), os.path.realpath(BIN / "composed"))

    def ask(self, service, name, *arguments, **options):
        return ask(self.of[service]["pid"], name, *arguments, **options)

    def address_of(self, service, network="o_default"):
        return self.of[service]["networks"][network]

    def run_in(self, service, *command):
        return self.compose("exec", "-T", service, *command, check=False)

    def assert_at_once(self, service, name, expected):
        began = time.monotonic()
        self.assertEqual(self.ask(service, name), (NO_ERROR, False, [expected]))
        self.assertLess(time.monotonic() - began, 0.5)

    def test_a_name_outside_is_resolved(self):
        found = self.run_in("app", "nslookup", "example.test")
        self.assertEqual(found.returncode, 0, found.stdout + found.stderr)
        self.assertIn("127.0.0.11", found.stdout)
        self.assertRegex(found.stdout, r"Name:\s+example\.test\nAddress: 192\.0\.2\.7\n")
        self.assertIn("udp A example.test", self.upstream.asked)

    def test_the_c_library_finds_it_as_well(self):
        self.assertIn("PING example.test (192.0.2.7)", self.run_in("app", "ping", "-c", "1", "-W", "1", "example.test").stdout)

    def test_that_there_is_no_such_name_is_passed_on(self):
        found = self.run_in("app", "nslookup", "missing.test")
        self.assertNotEqual(found.returncode, 0)
        self.assertIn("NXDOMAIN", found.stdout)
        self.assertEqual(self.ask("app", "missing.test"), (NAME_ERROR, False, []))
        self.assertEqual(self.ask("app", "missing.test", tcp=True), (NAME_ERROR, False, []))
        self.assertEqual(self.ask("app", "example.test", AAAA), (NO_ERROR, False, []))

    def test_what_is_too_long_is_asked_again_over_tcp(self):
        self.assertEqual(self.ask("app", "big.test"), (NO_ERROR, True, []))
        code, truncated, addresses = self.ask("app", "big.test", tcp=True)
        self.assertEqual((code, truncated), (NO_ERROR, False))
        self.assertEqual(addresses, [f"198.19.0.{n}" for n in range(60)])
        self.assertEqual(self.upstream.asked, ["udp A big.test", "tcp A big.test"])
        self.assertRegex(self.run_in("app", "ping", "-c", "1", "-W", "1", "big.test").stdout, r"^PING big\.test \(198\.19\.0\.")

    def test_questions_are_no_connections_that_the_kernel_keeps(self):
        for tcp in (False, True):
            for _ in range(20):
                self.assertEqual(self.ask("app", "web", tcp=tcp)[0], NO_ERROR)
        kept = subprocess.run(["nsenter", "-t", str(self.of["app"]["pid"]), "-n", "cat", "/proc/sys/net/netfilter/nf_conntrack_count"],
                              capture_output=True, text=True, check=True).stdout
        self.assertEqual(int(kept), 0)

    def test_names_of_the_project_are_answered_and_not_passed_on(self):
        web = self.address_of("web")
        for name in ("web", "o-web-1", "portal", "www.example.test", self.of["web"]["id"][:12], "WEB", "Portal"):
            for tcp in (False, True):
                self.assertEqual(self.ask("app", name, tcp=tcp), (NO_ERROR, False, [web]), name)
            self.assertEqual(self.ask("app", name, AAAA), (NO_ERROR, False, []), name)
        reverse = ".".join(reversed(web.split("."))) + ".in-addr.arpa"
        self.assertEqual(self.ask("app", reverse, PTR), (NO_ERROR, False, ["o-web-1.o_default"]))
        self.assertEqual(self.run_in("app", "nslookup", "web.").returncode, 0)  # without the host's search domain
        self.assertEqual(self.upstream.asked, [])

    def test_names_of_who_does_not_run_are_not_passed_on(self):
        web = self.address_of("web")
        self.compose("stop", "-t", "0", "web")
        reverse = ".".join(reversed(web.split("."))) + ".in-addr.arpa"
        for name in ("web", "o-web-1", "portal", "www.example.test", "web.o_default", "secret"):
            self.assertEqual(self.ask("app", name), (NAME_ERROR, False, []), name)
            self.assertEqual(self.ask("app", name, AAAA), (NAME_ERROR, False, []), name)
        self.assertEqual(self.ask("app", reverse, PTR), (NAME_ERROR, False, []))
        self.assertEqual(self.upstream.asked, [])
        self.compose("start", "web")
        self.assertEqual(self.ask("app", "web"), (NO_ERROR, False, [web]))

    def test_what_is_no_question_of_ours_is_answered_all_the_same(self):
        def code_of(message):
            with socket_in(self.of["app"]["pid"], socket.SOCK_DGRAM) as to:
                to.settimeout(5)
                to.connect(("127.0.0.11", 53))
                to.sendall(message)
                reply = to.recv(4096)
            self.assertEqual(reply[:2], message[:2])
            return reply[3] & 15, reply

        name = encode_name("web")
        self.assertEqual(code_of(struct.pack("!6H", 7, 0x2000, 1, 0, 0, 0) + name + struct.pack("!HH", 6, 1))[0], 4, "NOTIFY")
        self.assertEqual(code_of(struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + encode_name("version.bind") + struct.pack("!HH", 16, 3))[0], 5)
        opt = struct.pack("!BHHBBHH", 0, 41, 1232, 0, 0, 0, 0)
        asked = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 1) + name + struct.pack("!HH", A, 1)
        code, reply = code_of(asked + opt)
        self.assertEqual((code, struct.unpack_from("!H", reply, 10)[0]), (NO_ERROR, 1))
        bad = struct.pack("!BHHBBHH", 0, 41, 1232, 0, 1, 0, 0)
        code, reply = code_of(asked + bad)
        self.assertEqual((code, reply[-6], reply[-5]), (0, 1, 0), "BADVERS")

    def test_a_name_with_its_network_is_ours_as_well(self):
        # The embedded DNS of Docker owns the networks' names as domains, and PTR answers have them.
        for name in ("web.o_default", "o-web-1.o_default", "portal.o_default", "Web.O_Default"):
            self.assertEqual(self.ask("app", name), (NO_ERROR, False, [self.address_of("web")]), name)
        self.assertEqual(self.upstream.asked, [])

    def test_a_network_may_have_capitals_in_its_name(self):
        self.write(STACK + "  default: {name: MyNet}\n")
        self.compose("up", "-d", "-t", "0")
        self.of = {each["service"]: each for each in self.containers()}
        web = self.address_of("web", "MyNet")
        reverse = ".".join(reversed(web.split("."))) + ".in-addr.arpa"
        [called] = self.ask("app", reverse, PTR)[2]
        for name in (called, "web.MyNet", "web.mynet", "PORTAL.MYNET"):
            self.assertEqual(self.ask("app", name), (NO_ERROR, False, [web]), name)
        self.assertEqual(self.upstream.asked, [])

    def test_search_domains_and_options_are_those_of_the_host(self):
        ours = self.resolv_conf.read_text()
        self.resolv_conf.write_text(f"{ours}domain nowhere.test\nsearch one.test\tdomains.test \noptions timeout:1\noptions attempts:2 edns0\n")
        self.write(STACK.replace("  app: {image", "  app: {dns_opt: ['ndots:3'], dns_search: [test], image").replace("  hidden: {image", "  hidden: {dns_search: ['.'], image"))
        self.compose("up", "-d", "-t", "0", "--force-recreate")
        self.of = {each["service"]: each for each in self.containers()}
        self.assertEqual(self.run_in("both", "cat", "/etc/resolv.conf").stdout,
                         "nameserver 127.0.0.11\nsearch one.test domains.test\noptions timeout:1 attempts:2 edns0 ndots:0\n")
        self.assertEqual(self.run_in("app", "cat", "/etc/resolv.conf").stdout, "nameserver 127.0.0.11\nsearch test\noptions ndots:3\n")
        self.assertEqual(self.run_in("hidden", "cat", "/etc/resolv.conf").stdout, "nameserver 127.0.0.11\noptions timeout:1 attempts:2 edns0 ndots:0\n")
        # As it is asked by the C library: the name by itself, then with each domain.
        self.assertIn("PING n7 (198.18.0.7)", self.run_in("app", "ping", "-c", "1", "-W", "1", "n7").stdout)
        self.assertIn(f"PING web ({self.address_of('web')})", self.run_in("app", "ping", "-c", "1", "-W", "1", "web").stdout)

    def test_names_of_a_network_that_is_not_ones_own_are_not_known(self):
        self.assertEqual(self.ask("hidden", "secret"), (NO_ERROR, False, [self.address_of("secret", "o_inside")]))
        self.assertEqual(self.ask("app", "secret")[0], NAME_ERROR)
        self.assertEqual(self.ask("hidden", "web")[0], NAME_ERROR)

    def test_a_container_on_an_internal_network_gets_no_names_outside(self):
        for tcp in (False, True):
            self.assertEqual(self.ask("hidden", "example.test", tcp=tcp), (NAME_ERROR, False, []))
        found = self.run_in("hidden", "nslookup", "example.test")
        self.assertNotEqual(found.returncode, 0)
        self.assertNotIn("192.0.2.7", found.stdout)
        self.assertEqual(self.ask("hidden", "7.2.0.192.in-addr.arpa", PTR)[0], NAME_ERROR)
        self.assertEqual(self.upstream.asked, [])
        self.assertEqual(self.ask("both", "example.test"), (NO_ERROR, False, ["192.0.2.7"]))

    def test_without_the_server_names_of_the_project_are_answered_at_once(self):
        self.upstream.stop()
        self.assert_at_once("app", "web", self.address_of("web"))
        self.assertEqual(self.ask("app", "example.test"), (SERVER_FAILURE, False, []))
        self.assertEqual(self.ask("app", "example.test", tcp=True), (SERVER_FAILURE, False, []))
        self.assert_at_once("app", "web", self.address_of("web"))

    def test_a_server_that_says_nothing_holds_up_no_name_of_the_project(self):
        self.upstream.silent = True
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            began = time.monotonic()
            waiting = [pool.submit(self.ask, "app", f"n{n}.test", timeout=10) for n in range(20)]
            wait_until(lambda: len(self.upstream.asked) == 20, 5, "the questions to be under way")
            for _ in range(10):
                self.assert_at_once("app", "web", self.address_of("web"))
            self.assertFalse(any(each.done() for each in waiting))
            self.assertEqual({each.result()[0] for each in waiting}, {SERVER_FAILURE})
            self.assertLess(time.monotonic() - began, 6)
        self.upstream.silent = False
        self.assertEqual(self.ask("app", "example.test"), (NO_ERROR, False, ["192.0.2.7"]))

    def test_a_flood_from_one_container_leaves_the_others_theirs(self):
        with socket_in(self.of["app"]["pid"], socket.SOCK_DGRAM) as flood:
            flood.connect(("127.0.0.11", 53))
            flood.settimeout(1)
            for number in range(2000):
                flood.send(struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + encode_name(f"silent{number}.test") + struct.pack("!HH", A, 1))
                if number % 100 == 0:
                    time.sleep(0.01) # what does not fit into the socket's buffer is nobody's
            self.assertEqual(flood.recv(512)[3] & 15, 5, "refused, not forgotten")
            self.assert_at_once("both", "example.test", "192.0.2.7")
            self.assert_at_once("both", "web", self.address_of("web"))
            self.assert_at_once("app", "web", self.address_of("web"))
        self.assertLessEqual(len(self.upstream.asked), 130)

    def test_floods_from_many_containers_leave_another_its_own(self):
        self.write(STACK.replace("networks:\n  inside:", "  many: {image: busybox, command: sleep 1000, init: true, deploy: {replicas: 9}}\nnetworks:\n  inside:"))
        self.compose("up", "-d")
        with contextlib.ExitStack() as floods:
            for each in self.containers("many"):
                flood = floods.enter_context(socket_in(each["pid"], socket.SOCK_DGRAM))
                flood.connect(("127.0.0.11", 53))
                for number in range(140):
                    flood.send(struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + encode_name("silent.test") + struct.pack("!HH", A, 1))
            wait_until(lambda: len(self.upstream.asked) >= 1024, 2, "the floods to have all there is")
            self.assert_at_once("app", "example.test", "192.0.2.7")

    def test_many_questions_at_once_each_get_their_own_answer(self):
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            replies = list(pool.map(lambda n: self.ask("app", f"n{n}.test", tcp=n % 5 == 0), range(200)))
        self.assertEqual(replies, [(NO_ERROR, False, [f"198.18.0.{n}"]) for n in range(200)])

    def test_servers_are_tried_in_their_order_and_the_file_is_read_again_when_it_changed(self):
        second = NameServer()
        self.addCleanup(second.stop)
        self.resolv_conf.write_text(f"nameserver {self.upstream.address}\nnameserver {second.address}\n")
        self.assertEqual(self.ask("app", "n1.test"), (NO_ERROR, False, ["198.18.0.1"]))
        self.assertEqual((self.upstream.asked, second.asked), (["udp A n1.test"], []))
        self.upstream.stop()
        for tcp in (False, True):
            self.assertEqual(self.ask("app", "n2.test", tcp=tcp), (NO_ERROR, False, ["198.18.0.2"]))
        self.assertEqual(second.asked, ["udp A n2.test", "tcp A n2.test"])
        self.resolv_conf.write_text("# none\n")
        self.assertEqual(self.ask("app", "n3.test"), (SERVER_FAILURE, False, []))
        self.assertEqual(len(second.asked), 2)

    def test_a_server_that_says_nothing_is_asked_after_the_others_until_it_is_back(self):
        second, third = NameServer(), NameServer()
        self.addCleanup(second.stop)
        self.addCleanup(third.stop)
        self.resolv_conf.write_text("".join(f"nameserver {each.address}\n" for each in (self.upstream, second, third)))
        self.upstream.silent = second.silent = True
        for n in range(2):  # that one gets lost means nothing yet
            self.assertEqual(self.ask("app", f"n{n}.test", timeout=10), (NO_ERROR, False, [f"198.18.0.{n}"]))
        # Two of three are dead, and a C library gives up after five seconds.
        self.assertIn("PING n7.test (198.18.0.7)", self.run_in("app", "ping", "-c", "1", "-W", "1", "n7.test").stdout)
        for n in range(20):
            self.assert_at_once("app", f"n{n}.test", f"198.18.0.{n}")
        self.upstream.silent = False
        self.upstream.asked.clear()

        def is_first_again():
            self.ask("app", "n1.test", timeout=10)
            return len(self.upstream.asked) > 1 or time.sleep(0.2)
        wait_until(is_first_again, 15, "the first server to be asked again")

    def test_a_reply_that_is_under_way_when_the_daemon_ends_arrives(self):
        self.upstream.delay = 0.3
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            waiting = [pool.submit(self.ask, "app", f"n{n}.test", tcp=n % 5 == 0) for n in range(20)]
            wait_until(lambda: len(self.upstream.asked) == 20, 5, "the questions to be passed on")
            self.stop_daemon()
            self.start_daemon()
            self.assertEqual([each.result()[2] for each in waiting], [[f"198.18.0.{n}"] for n in range(20)])

    def test_servers_of_a_service_are_asked_for_its_outside_names_alone(self):
        own = NameServer()
        self.addCleanup(own.stop)
        self.write(STACK.replace("  app: {image", f"  app: {{dns: [{own.address}], image"))
        self.compose("up", "-d")
        self.of = {each["service"]: each for each in self.containers()}
        self.assertIn("nameserver 127.0.0.11\n", self.run_in("app", "cat", "/etc/resolv.conf").stdout)
        for _ in range(2):
            self.assertEqual(self.ask("app", "n1.test"), (NO_ERROR, False, ["198.18.0.1"]))
            self.assertEqual(self.ask("web", "n2.test"), (NO_ERROR, False, ["198.18.0.2"]))
            self.assert_at_once("app", "web", self.address_of("web"))
            self.stop_daemon()
            self.start_daemon()
        self.assertEqual((set(self.upstream.asked), set(own.asked)), ({"udp A n2.test"}, {"udp A n1.test"}))

    def test_a_container_on_the_hosts_network_has_the_hosts_names(self):
        self.write(STACK.replace("  app: {image", "  app: {network_mode: host, image"))
        self.compose("up", "-d")
        self.assertEqual(self.run_in("app", "cat", "/etc/resolv.conf").stdout, self.resolv_conf.read_text())
        self.assertEqual(self.run_in("app", "cat", "/etc/hosts").stdout, pathlib.Path("/etc/hosts").read_text())
        self.assertEqual(self.run_in("app", "hostname").stdout.strip(), socket.gethostname())

    def test_questions_while_there_is_no_daemon_are_answered_by_the_next(self):
        self.stop_daemon()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.ask, "app", "example.test", timeout=15)
            self.start_daemon()
            self.assertEqual(waiting.result(), (NO_ERROR, False, ["192.0.2.7"]))
        self.assert_at_once("app", "web", self.address_of("web"))

    def test_a_thousand_questions_wait_for_the_next_daemon(self):
        self.stop_daemon()
        with socket_in(self.of["app"]["pid"], socket.SOCK_DGRAM) as to:
            to.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
            to.settimeout(5)
            to.connect(("127.0.0.11", 53))
            for number in range(1000):
                to.send(struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + encode_name("web") + struct.pack("!HH", A, 1))
            self.start_daemon()
            self.assertEqual({struct.unpack_from("!H", to.recv(512))[0] for _ in range(1000)}, set(range(1000)))


if __name__ == "__main__":
    unittest.main()
