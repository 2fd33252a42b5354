"""The HTTP of the API, byte by byte: what other clients than ours send, and what breaks off."""
import socket
import unittest

from harness import DaemonTest


class HttpTest(DaemonTest):
    def ask(self, request, end=False):
        """Everything that comes back until the connection is closed. `end`: says that no more is sent."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self.run_folder / "composed.sock"))
            answer = b""
            try:
                connection.sendall(request)
                if end:
                    connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(65536):
                    answer += part
            except ConnectionError:
                pass
        return answer

    def test_head_is_get_without_the_body(self):
        request = b"%s /api/v1/ping HTTP/1.1\r\nHost: composed\r\nConnection: close\r\n\r\n"
        whole, head = self.ask(request % b"GET"), self.ask(request % b"HEAD")
        self.assertEqual(head, whole[:whole.index(b"\r\n\r\n") + 4])
        events = b"HEAD /api/v1/events HTTP/1.1\r\nHost: composed\r\nConnection: close\r\n\r\n"
        self.assertEqual(self.ask(events).count(b"\r\n\r\n"), 1)

    def test_http_1_0_gets_a_stream_without_chunks(self):
        self.write("name: h\nservices: {a: {image: busybox, command: echo hello}}\n")
        self.compose("up", "-d")
        self.wait_for_state("a", "exited")
        for end in b"", b"Connection: keep-alive\r\n":
            head, body = self.ask(b"GET /api/v1/projects/h/logs HTTP/1.0\r\n%s\r\n" % end).split(b"\r\n\r\n", 1)
            self.assertNotIn(b"chunked", head)
            self.assertTrue(body.startswith(b"{") and body.endswith(b"}\n"), body)
        self.assertIn(b"keep-alive", self.ask(b"GET /api/v1/ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", end=True))

    def test_a_body_that_breaks_off_is_told_of(self):
        head = b"PUT /api/v1/projects/x HTTP/1.1\r\nHost: composed\r\nContent-Type: application/json\r\n%s\r\n\r\n"
        for request in head % b"Content-Length: 100" + b"{", head % b"Transfer-Encoding: chunked" + b"zz\r\n{}\r\n0\r\n\r\n":
            answer = self.ask(request, end=True)
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
            self.assertIn(b"read body of /api/v1/projects/x", answer)

    def test_a_nul_is_refused_and_cuts_nothing_short(self):
        self.write("name: n\nservices: {a: {image: busybox, init: true, command: sleep 100}}\n")
        self.compose("up", "-d")
        self.assertIn("NUL", self.api("/containers/n-a-1/exec", "POST", '{"args": ["echo", "a\\u0000b"]}')["message"])
        for service in '{"name": "a", "image": "i", "command": ["a\\u0000b"]}', '{"name": "a", "image": "i", "labels": {"\\u0000": "x"}}':
            answer = self.api("/projects/x", "PUT", f'{{"name": "x", "services": {{"a": {service}}}}}')
            self.assertIn("NUL", answer["message"])

    def test_a_body_that_nobody_read_is_never_taken_for_a_request(self):
        hidden = b"GET /api/v1/ping HTTP/1.1\r\nHost: composed\r\n\r\n"
        body = hidden * (400_000 // len(hidden))
        answer = self.ask(b"POST /nowhere HTTP/1.1\r\nHost: composed\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.assertEqual(answer.count(b"HTTP/1.1 "), 1, answer)
        self.assertIn(b"404", answer)


if __name__ == "__main__":
    unittest.main()
