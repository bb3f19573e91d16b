"""Market data on Kafka: feeds, records, and the commands that run them."""

import logging

logging.getLogger(__name__).addHandler(logging.NullHandler())  # whoever uses this as a library decides what is logged
