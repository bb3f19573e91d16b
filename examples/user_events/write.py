"""Write what users did: a registration or a login each, on the topic `user-events`, with the user as key.

python write.py --bootstrap localhost:9092 login li.lei han.meimei --attribute device=phone
"""

from __future__ import annotations

import argparse

from barnabas_quant.bus.user_events import UserEvents
from barnabas_quant.errors import QuantError
from barnabas_quant.model.user_event import LOGIN, REGISTRATION


def main() -> None:
    """Write the events and print each once all are acknowledged; exit code 1 where one failed."""
    parser = argparse.ArgumentParser(description="Write that users have registered or logged in.")
    parser.add_argument("--bootstrap", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--topic", default="user-events")
    parser.add_argument("--attribute", action="append", default=[], metavar="NAME=VALUE", help="of each event")
    parser.add_argument("event", choices=(REGISTRATION, LOGIN))
    parser.add_argument("users", nargs="+", metavar="USER")
    options = parser.parse_args()
    attributes = dict(pair.split("=", 1) for pair in options.attribute)

    try:
        with UserEvents(options.bootstrap, options.topic) as events:
            write = events.registration if options.event == REGISTRATION else events.login
            written = [write(user, **attributes) for user in options.users]
    except QuantError as error:
        raise SystemExit(f"not written: {error}") from error
    for event in written:
        print(f"{event.event}: {event.user}")


if __name__ == "__main__":
    main()
