"""The platform's services, one in each module; `runner.py` finds them by looking in here."""
