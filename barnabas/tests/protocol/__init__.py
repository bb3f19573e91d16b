"""Test the protocol layer: messages, records, batches, compression."""
