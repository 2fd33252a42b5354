import os
import pathlib

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
channel = connection.channel()
channel.queue_declare("tasks", durable=True)
channel.basic_qos(prefetch_count=1)


def work(channel, method, properties, body):
    with pathlib.Path("/results/done.txt").open("a") as file:
        file.write(body.decode()[::-1] + "\n")
    channel.basic_ack(method.delivery_tag)


channel.basic_consume("tasks", work)
channel.start_consuming()
