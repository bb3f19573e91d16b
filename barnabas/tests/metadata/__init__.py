"""Test the metadata: its records, its log and snapshots, what may be taken over and handed over."""
