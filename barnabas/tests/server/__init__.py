"""Test the server: connections, limits, hostile input."""
