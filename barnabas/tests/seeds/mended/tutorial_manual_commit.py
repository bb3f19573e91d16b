"""Mend tutorial_manual_commit.py: import, topic, address and group were missing, and something to commit."""

from kafka import KafkaConsumer

consumer = KafkaConsumer(
    "stock-realtime",
    bootstrap_servers=["localhost:9092"],
    group_id="analysis-service",
    auto_offset_reset="earliest",
    enable_auto_commit=False,
)
message = next(consumer)
print(f"handled {message.topic}-{message.partition}@{message.offset}")
consumer.commit()
consumer.close()
