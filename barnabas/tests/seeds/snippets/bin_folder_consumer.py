# Document: bin folder (004), lines 183 to 201. Verbatim below these three lines.
# ruff: noqa
# fmt: off
from kafka import KafkaConsumer

consumer = KafkaConsumer(
    bootstrap_servers='127.0.0.1:9092',
    auto_offset_reset='earliest',
    enable_auto_commit=True
)

# 订阅 topic
consumer.subscribe(topics=['test'])

# 从头 topic 拉取数据
datas = consumer.poll(timeout_ms=100)

# 解析数据
for key,record in datas.items():
    print(record[0].value.decode('utf-8'))

consumer.close()
