"""Test the node as a whole: starts and stops of every kind, chores, full disks, many partitions."""
