import flask
import redis
from tasks import add
from tasks import app as tasks

app = flask.Flask(__name__)


@app.get("/")
def index():
    return f"ticks {int(redis.Redis('redis').get('ticks') or 0)}\n"


@app.get("/add/<int:left>/<int:right>")
def start(left, right):
    return add.delay(left, right).id


@app.get("/result/<task>")
def result(task):
    return f"{tasks.AsyncResult(task).result}\n"
