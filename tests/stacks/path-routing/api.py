import http.server
import pathlib

FILE = pathlib.Path("/data/counter")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        count = int(FILE.read_text()) if FILE.exists() else 0
        self.answer(f"counter {count} for {self.headers['X-Forwarded-For']}\n")

    def do_POST(self):
        count = int(FILE.read_text()) if FILE.exists() else 0
        FILE.write_text(str(count + 1))
        self.answer(f"counter {count + 1}\n")

    def answer(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())


http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
