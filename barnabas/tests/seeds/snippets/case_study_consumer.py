# Document: case study (002), lines 59 to 81. Verbatim below these three lines.
# ruff: noqa
# fmt: off
# kafka_consumer.py
from kafka import KafkaConsumer
import json

consumer = KafkaConsumer(
    'test-topic',
    bootstrap_servers=['localhost:9092'],
    value_deserializer=lambda m: json.loads(m.decode('utf-8')),
    key_deserializer=lambda k: k.decode('utf-8') if k else None,
    auto_offset_reset='earliest',  # 从最早的消息开始
    enable_auto_commit=True,
    group_id='my-consumer-group',
    consumer_timeout_ms=1000
)

# 消费消息
for message in consumer:
    print(f"Topic: {message.topic}")
    print(f"Partition: {message.partition}")
    print(f"Offset: {message.offset}")
    print(f"Key: {message.key}")
    print(f"Value: {message.value}")
    print("-" * 50)
