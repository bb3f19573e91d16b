"""The way back to an answer: REST for prices and history, a WebSocket for what happens."""
