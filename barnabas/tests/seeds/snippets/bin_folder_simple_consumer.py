# Document: bin folder (004), lines 165 to 177. Verbatim below these three lines.
# ruff: noqa
# fmt: off
from kafka import KafkaConsumer

consumer = KafkaConsumer(
    'test',
    bootstrap_servers='127.0.0.1:9092',
    auto_offset_reset='earliest',
    enable_auto_commit=True
)

for message in consumer:
    print(f"Received: {message.value.decode('utf-8')}")

consumer.close()
