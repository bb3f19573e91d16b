# Document: bin folder (004), lines 147 to 157. Verbatim below these three lines.
# ruff: noqa
# fmt: off
from kafka import KafkaProducer

producer = KafkaProducer(bootstrap_servers='127.0.0.1:9092')

producer.send(
        topic='test', 
        value=b'Hello, Kafka!'
    )
producer.flush()

producer.close()
