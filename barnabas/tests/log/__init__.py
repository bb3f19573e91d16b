"""Test the partition log: files, indexes, look-ups, retention, producers, recovery."""
