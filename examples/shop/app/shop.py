"""A shop of two pages: how many visits there were (redis), and the orders (postgres)."""
import os
import pathlib

import flask
import psycopg2
import redis

application = flask.Flask(__name__)
visits = redis.Redis(host=os.environ["REDIS_HOST"])


def database():
    return psycopg2.connect(host=os.environ["DATABASE_HOST"], user=os.environ["DATABASE_USER"],
                            password=pathlib.Path(os.environ["DATABASE_PASSWORD_FILE"]).read_text().strip())


@application.get("/")
def front_page():
    return f"Visit number {visits.incr('visits')}\n"


@application.get("/health")
def health():
    visits.ping()
    return "ok\n"


@application.get("/orders")
def orders():
    with database() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT item FROM orders ORDER BY id")
        return flask.jsonify([item for (item,) in cursor.fetchall()])


@application.post("/orders")
def order():
    with database() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO orders (item) VALUES (%s) RETURNING id", (flask.request.form["item"],))
        return flask.jsonify({"id": cursor.fetchone()[0]}), 201


if __name__ == "__main__":
    application.run(host="0.0.0.0", port=8000, threaded=True)
