"""Mend bin_folder_simple_consumer.py: its loop never ends, so close() was never reached; Ctrl-C ends it here."""

from kafka import KafkaConsumer

consumer = KafkaConsumer(
    "test",
    bootstrap_servers="127.0.0.1:9092",
    auto_offset_reset="earliest",
    enable_auto_commit=True,
)

try:
    for message in consumer:
        print(f"Received: {message.value.decode('utf-8')}")
except KeyboardInterrupt:
    print("closed")
finally:
    consumer.close()
