import pathlib
import socket

import flask

app = flask.Flask(__name__)
visits = pathlib.Path("/visits/visits.txt")


@app.get("/health")
def health():
    return "ok\n"


@app.get("/")
def index():
    return f"served by {socket.gethostname()}\n"


@app.post("/visit/<name>")
def visit(name):
    with visits.open("a") as file:
        file.write(name + "\n")
    return "kept\n"


@app.get("/visits")
def list_visits():
    return visits.read_text()
