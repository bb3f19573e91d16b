"""Hold the scripts of Kafka's bin folder, one module each; their parts and what they share stand above."""
