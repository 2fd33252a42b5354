import os
import pathlib

import flask
import pika

app = flask.Flask(__name__)


@app.post("/tasks")
def add():
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
    channel = connection.channel()
    channel.queue_declare("tasks", durable=True)
    channel.basic_publish("", "tasks", flask.request.get_data(), pika.BasicProperties(delivery_mode=2))
    connection.close()
    return "queued\n"


@app.get("/done")
def done():
    file = pathlib.Path("/results/done.txt")
    return file.read_text() if file.exists() else ""


@app.get("/health")
def health():
    return "ok\n"
