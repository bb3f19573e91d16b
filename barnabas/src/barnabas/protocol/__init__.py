"""Turn bytes into messages and messages into bytes: no I/O, no clock, no state."""
