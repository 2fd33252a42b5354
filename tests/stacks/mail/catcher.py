import http.server
import json
import os
import pathlib
import signal
import sys
import threading

from aiosmtpd.controller import Controller

FILE = pathlib.Path(os.environ["DATA"])
messages = json.loads(FILE.read_text()) if FILE.exists() else []


class Catcher:
    async def handle_DATA(self, server, session, envelope):
        messages.append(envelope.content.decode())
        FILE.write_text(json.dumps(messages[-int(os.environ["MAX_MESSAGES"]):]))
        return "250 kept"


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"messages": messages}).encode())

    def log_message(self, *arguments):
        pass


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
for port in 1025, 1026:
    Controller(Catcher(), hostname="0.0.0.0", port=port).start()
threading.Thread(target=http.server.ThreadingHTTPServer(("", 8025), Page).serve_forever, daemon=True).start()
signal.pause()
