"""Mend case_study_consumer.py: without close() the offsets of its last seconds are not committed.

Nor does the member leave its group: a second run inside the session time-out waits for it, and ends after its second
of silence without a record. A second is also little for a group that has yet to form, so here it is three.
"""

import json

from kafka import KafkaConsumer

consumer = KafkaConsumer(
    "test-topic",
    bootstrap_servers=["localhost:9092"],
    value_deserializer=lambda m: json.loads(m.decode("utf-8")),
    key_deserializer=lambda k: k.decode("utf-8") if k else None,
    auto_offset_reset="earliest",
    enable_auto_commit=True,
    group_id="my-consumer-group",
    consumer_timeout_ms=3000,
)

for message in consumer:
    print(f"Topic: {message.topic}")
    print(f"Partition: {message.partition}")
    print(f"Offset: {message.offset}")
    print(f"Key: {message.key}")
    print(f"Value: {message.value}")
    print("-" * 50)

consumer.close()
