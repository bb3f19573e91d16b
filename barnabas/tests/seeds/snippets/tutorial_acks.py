# Document: tutorial (000), lines 497 to 500. Verbatim below these three lines.
# ruff: noqa
# fmt: off
producer = KafkaProducer(
    acks='all',  # 等待所有副本确认
    retries=3    # 失败重试3次
)
