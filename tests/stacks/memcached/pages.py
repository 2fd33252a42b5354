import os
import sqlite3

import flask
from pymemcache.client.base import Client

app = flask.Flask(__name__)
cache = Client(os.environ["MEMCACHED"], connect_timeout=2, timeout=2)


def database():
    made = sqlite3.connect("/pages/pages.sqlite", timeout=5)
    made.execute("create table if not exists page (name primary key, text)")
    return made


@app.get("/page/<name>")
def page(name):
    found = cache.get(name)
    if found is not None:
        return f"{os.environ['TITLE']}: {found.decode()} (cached)\n"
    with database() as pages:
        row = pages.execute("select text from page where name = ?", (name,)).fetchone()
    text = row[0] if row else "nothing"
    cache.set(name, text)
    return f"{os.environ['TITLE']}: {text}\n"


@app.put("/page/<name>")
def write(name):
    with database() as pages:
        pages.execute("insert into page values (?, ?)", (name, flask.request.get_data(as_text=True)))
    cache.delete(name)
    return "kept\n"
