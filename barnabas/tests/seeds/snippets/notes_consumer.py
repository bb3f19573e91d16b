# Document: notes (003), lines 158 to 200. Verbatim below these three lines.
# ruff: noqa
# fmt: off
from confluent_kafka import Consumer, KafkaException, OFFSET_BEGINNING
import json

# Kafka 配置
config = {
    'bootstrap.servers': 'localhost:9092',
    'group.id': 'analytics_group_1',  # 消费者组ID，用于追踪消费进度
    'auto.offset.reset': 'earliest' # 从最早的消息开始消费
}

consumer = Consumer(config)
topic_name = 'user_clicks'

# 订阅主题
consumer.subscribe([topic_name])

print(f"Consumer started, listening to topic: {topic_name}...")

try:
    while True:
        # 3.0 秒内尝试从 Kafka 拉取一条消息
        msg = consumer.poll(3.0) 

        if msg is None:
            continue
        if msg.error():
            # 处理错误
            if msg.error().code() == KafkaException._PARTITION_EOF:
                # 达到分区末尾，可以继续等待新消息
                continue
            else:
                print(f"Consumer error: {msg.error()}")
                break

        # 成功接收到消息
        data = json.loads(msg.value().decode('utf-8'))
        print(f"Received from partition {msg.partition()} [offset {msg.offset()}]: User {data['user_id']} viewed {data['page']}")

except KeyboardInterrupt:
    pass
finally:
    # 关闭消费者，记录当前的消费进度 (offset)
    consumer.close()
