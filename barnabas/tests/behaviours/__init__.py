"""Test what Kafka does: numbered behaviours, by their numbers, and groups with a clock that is moved by hand."""
