"""Mend notes_consumer.py: the code of the partition's end is KafkaError._PARTITION_EOF, not KafkaException's."""

import json

from confluent_kafka import Consumer, KafkaError

config = {
    "bootstrap.servers": "localhost:9092",
    "group.id": "analytics_group_1",
    "auto.offset.reset": "earliest",
}

consumer = Consumer(config)
topic_name = "user_clicks"

consumer.subscribe([topic_name])

print(f"Consumer started, listening to topic: {topic_name}...")

try:
    while True:
        msg = consumer.poll(3.0)

        if msg is None:
            continue
        if msg.error():
            if msg.error().code() == KafkaError._PARTITION_EOF:
                continue
            else:
                print(f"Consumer error: {msg.error()}")
                break

        data = json.loads(msg.value().decode("utf-8"))
        print(
            f"Received from partition {msg.partition()} [offset {msg.offset()}]: "
            f"User {data['user_id']} viewed {data['page']}"
        )

except KeyboardInterrupt:
    pass
finally:
    consumer.close()
