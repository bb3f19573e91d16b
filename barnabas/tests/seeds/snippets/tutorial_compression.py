# Document: tutorial (000), lines 534 to 536. Verbatim below these three lines.
# ruff: noqa
# fmt: off
producer = KafkaProducer(
    compression_type='gzip'  # 节省网络带宽
)
