"""Mend tutorial_batch.py: the producer and the list were missing. Both loops send each item once."""

import json

from kafka import KafkaProducer

producer = KafkaProducer(
    bootstrap_servers=["localhost:9092"],
    value_serializer=lambda value: json.dumps(value).encode("utf-8"),
)
stock_list = [{"symbol": "000001", "price": 10.52}, {"symbol": "600519", "price": 1680.00}]

for data in stock_list:
    producer.send("stock-realtime", data)

for data in stock_list:
    producer.send("stock-realtime", data)
producer.flush()
