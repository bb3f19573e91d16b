# Document: case study (002), lines 24 to 53. Verbatim below these three lines.
# ruff: noqa
# fmt: off
# kafka_producer.py
from kafka import KafkaProducer
import json
import time

producer = KafkaProducer(
    bootstrap_servers=['localhost:9092'],
    value_serializer=lambda v: json.dumps(v).encode('utf-8'),
    key_serializer=lambda k: k.encode('utf-8') if k else None,
    acks='all',  # 等待所有副本确认
    retries=3,
    max_in_flight_requests_per_connection=1  # 保证顺序
)

# 发送消息
for i in range(100):
    message = {
        'id': i,
        'timestamp': time.time(),
        'value': i * 10,
        'user_id': f'user_{i % 10}'
    }
    # 指定 key 保证同一 key 的消息发送到同一分区
    producer.send('test-topic', 
                  key=f'user_{i % 10}',
                  value=message)
    time.sleep(0.1)

producer.flush()
producer.close()
