"""Serve a node over sockets: connections, listeners, timers, metrics, the way up and the way down."""
