# Document: tutorial (000), lines 522 to 529. Verbatim below these three lines.
# ruff: noqa
# fmt: off
# 不推荐：每条消息单独发送
for data in stock_list:
    producer.send('stock-realtime', data)

# 推荐：批量发送
for data in stock_list:
    producer.send('stock-realtime', data)
producer.flush()  # 一次性刷新
