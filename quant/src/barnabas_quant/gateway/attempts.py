"""How often somebody may fail to sign in, and register.

A try is counted before the password is looked at, and taken back where it was right: a hundred at once are a hundred.
What is kept is bounded: the names and addresses of longest ago go.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from barnabas_quant.gateway.web import TooMany

WINDOW = 60.0
"""Seconds for which a failure counts."""

OF_A_NAME, OF_AN_ADDRESS = 5, 20
"""Failures within that for one user's name, and from one address."""

REGISTRATIONS = 20
"""Users that one address may make within that."""

_KEPT = 10_000  # names, and addresses


class Attempts:
    """Count tries. It decides and does no I/O."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._names = _Counts(OF_A_NAME)
        self._addresses = _Counts(OF_AN_ADDRESS)
        self._registrations = _Counts(REGISTRATIONS)

    def begin(self, user: str, address: str) -> Callable[[], None]:
        """Count a try; give what takes it back where it succeeds. Raises TooMany."""
        now = self._now()
        network = network_of(address)
        wait = max(self._names.wait(user, now), self._addresses.wait(network, now))
        if wait > 0:
            raise TooMany(f"too many failed tries: try again in {math.ceil(wait)} s", math.ceil(wait))
        self._names.add(user, now)
        self._addresses.add(network, now)

        def succeeded() -> None:
            self._names.take_back(user, now)
            self._addresses.take_back(network, now)

        return succeeded

    def register(self, address: str) -> None:
        """Count a new user. Raises TooMany."""
        now, network = self._now(), network_of(address)
        if (wait := self._registrations.wait(network, now)) > 0:
            raise TooMany(f"too many new users from here: try again in {math.ceil(wait)} s", math.ceil(wait))
        self._registrations.add(network, now)


class _Counts:
    """Hold when the last tries of each key were, `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """Give the seconds until another try is free; 0 or less: it is."""
        tries = self._tries.get(key)
        return tries[0] + WINDOW - now if tries and len(tries) == self._most else 0.0

    def add(self, key: str, now: float) -> None:
        tries = self._tries.setdefault(key, deque(maxlen=self._most))
        tries.append(now)
        self._tries.move_to_end(key)
        while len(self._tries) > _KEPT:
            self._tries.popitem(last=False)

    def take_back(self, key: str, at: float) -> None:
        tries = self._tries.get(key)
        if tries is not None and at in tries:
            tries.remove(at)
            if not tries:
                del self._tries[key]


def network_of(address: str) -> str:
    """Give what counts as one address: of IPv6 the first 64 bits, which one subscriber has all of."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else address
