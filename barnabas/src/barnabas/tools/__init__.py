"""Kafka's command-line tools: clients of any Kafka, one module for each script."""
