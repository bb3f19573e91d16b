"""Mend tutorial_compression.py: the import and the address were missing; one record that gzip can shorten."""

from kafka import KafkaProducer

producer = KafkaProducer(
    bootstrap_servers=["localhost:9092"],
    compression_type="gzip",
)
producer.send("stock-realtime", value=b"600519" * 1000)
producer.close()
