"""Write that users have logged in: one record each on the topic `user-events`, with the user as key.

python log_in.py --bootstrap localhost:9092 li.lei --attribute device=phone
"""

from __future__ import annotations

import argparse

from barnabas_quant.bus.user_events import UserEvents
from barnabas_quant.errors import QuantError


def main() -> None:
    """Write the logins and print each user once all are acknowledged; exit code 1 where one failed."""
    parser = argparse.ArgumentParser(description="Write that users have logged in.")
    parser.add_argument("--bootstrap", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--topic", default="user-events")
    parser.add_argument("--attribute", action="append", default=[], metavar="NAME=VALUE", help="of each login")
    parser.add_argument("users", nargs="+", metavar="USER")
    options = parser.parse_args()
    attributes = dict(pair.split("=", 1) for pair in options.attribute)

    try:
        with UserEvents(options.bootstrap, options.topic) as events:
            written = [events.login(user, **attributes) for user in options.users]
    except QuantError as error:
        raise SystemExit(f"not written: {error}") from error
    for event in written:
        print(f"logged in {event.user}")


if __name__ == "__main__":
    main()
