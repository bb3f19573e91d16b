# Document: notes (003), lines 119 to 148. Verbatim below these three lines.
# ruff: noqa
# fmt: off
from confluent_kafka import Producer
import json
import time

# Kafka 配置
config = {'bootstrap.servers': 'localhost:9092'}
producer = Producer(config)
topic_name = 'user_clicks'

# 模拟发送 5 条点击事件
for i in range(5):
    # 模拟一个用户点击事件数据
    data = {
        'user_id': f'user_{100 + i}',
        'timestamp': time.time(),
        'action': 'page_view',
        'page': f'/product/{i}'
    }

    # 异步发送消息
    # key 用于决定消息发送到哪个分区（key相同，分区相同）
    producer.produce(
        topic_name, 
        key=str(data['user_id']).encode('utf-8'), 
        value=json.dumps(data).encode('utf-8')
    )
    print(f"Produced event: {data['user_id']}")

# 确保所有消息都被发送
producer.flush()
