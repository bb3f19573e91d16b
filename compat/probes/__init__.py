"""Ask one broker many odd questions, and write down what it answers: see `differential.py`."""
