import os
import pathlib

import flask

app = flask.Flask(__name__)
file = pathlib.Path("/orders/orders.txt")


@app.get("/")
def index():
    orders = file.read_text() if file.exists() else ""
    return f"{os.environ['COLOUR']}: {orders}\n"


@app.post("/")
def order():
    with file.open("a") as orders:
        orders.write(flask.request.get_data(as_text=True) + " ")
    return "kept\n"
