"""The simulated exchange: a process of its own that speaks the venues' WebSocket and REST interfaces on loopback."""
