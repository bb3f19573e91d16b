# Document: tutorial (000), lines 505 to 509. Verbatim below these three lines.
# ruff: noqa
# fmt: off
consumer = KafkaConsumer(
    enable_auto_commit=False  # 手动提交offset
)
# 处理完业务逻辑后
consumer.commit()
