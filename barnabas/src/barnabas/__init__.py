"""Barnabas: Apache Kafka's single-node half, in Python."""

__version__ = "0.1.0"
