"""Mend tutorial_acks.py: the import and the address were missing; one record shows that the settings work."""

from kafka import KafkaProducer

producer = KafkaProducer(
    bootstrap_servers=["localhost:9092"],
    acks="all",
    retries=3,
)
metadata = producer.send("stock-realtime", value=b"kept").get(timeout=30)
print(f"acknowledged at {metadata.topic}-{metadata.partition}@{metadata.offset}")
producer.close()
