# Document: tutorial (000), lines 336 to 354. Verbatim below these three lines.
# ruff: noqa
# fmt: off
# data-service/kafka_producer.py
from kafka import KafkaProducer
import json

producer = KafkaProducer(
    bootstrap_servers=['localhost:9093'],
    value_serializer=lambda v: json.dumps(v).encode('utf-8')
)

# 发送实时行情
data = {
    "symbol": "000001",
    "price": 10.52,
    "volume": 15000,
    "time": "2025-10-08 14:30:00"
}

producer.send('stock-realtime', value=data)
producer.flush()
