import os

import celery
import redis

app = celery.Celery("tasks", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_RESULT_BACKEND"])
app.conf.beat_schedule = {"tick": {"task": "tasks.tick", "schedule": 0.5}}
app.conf.broker_connection_retry_on_startup = True


@app.task
def add(left, right):
    return left + right


@app.task(ignore_result=True)
def tick():
    redis.Redis("redis").incr("ticks")
