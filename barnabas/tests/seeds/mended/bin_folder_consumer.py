"""Mend bin_folder_consumer.py: one poll of 100 ms ends before the first answer, and record[0] drops the rest.

kafka-python looks up the partitions, the first offset and the records within the polls, so poll until something comes.
"""

from kafka import KafkaConsumer

consumer = KafkaConsumer(
    bootstrap_servers="127.0.0.1:9092",
    auto_offset_reset="earliest",
    enable_auto_commit=True,
)

consumer.subscribe(topics=["test"])

while not (datas := consumer.poll(timeout_ms=1000)):
    pass

for records in datas.values():
    for record in records:
        print(record.value.decode("utf-8"))

consumer.close()
