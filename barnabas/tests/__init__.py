"""Test the broker, from bytes to clients."""
