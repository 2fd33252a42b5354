import pathlib
import time

import flask

app = flask.Flask(__name__)
file = pathlib.Path("/count/count")


@app.get("/")
def index():
    time.sleep(0.2)
    count = int(file.read_text()) + 1 if file.exists() else 1
    file.write_text(str(count))
    return f"made {count} times\n"
