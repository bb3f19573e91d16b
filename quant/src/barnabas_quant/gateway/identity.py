"""Who asks: by bearer token, else by the cookie of a session, else, on an open gateway, whoever is on this machine.

    async def portfolio(request):
        asking = await require(request)         # Unauthorized (401) for nobody
        ... asking.account ...                  # whose portfolio it is

A token that is given and not good is refused, and never taken for nobody's: who was signed in and is not any more does
not become an owner, on an open gateway, in the middle of an order. For the same reason a page names the user that it
shows in the header `Barnabas-User`, as who is signed in may have changed in another tab. What a browser sends by itself
(a cookie, or its being on this machine) counts for requests that another site could not have made it send: one that
changes anything, and a WebSocket, has no `Origin` or our own, and a body is JSON, which other sites may not send
unasked. For being on this machine the `Host` has to be a name of this machine as well, or a site whose name was pointed
here would pass as our own; and no proxy may have passed the request on, for then it came from somewhere else.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from starlette.requests import HTTPConnection

from barnabas_quant.gateway.account_book import AccountBook
from barnabas_quant.gateway.sessions import Sessions
from barnabas_quant.gateway.web import Forbidden, Unauthorized, is_json
from barnabas_quant.model.account import Account
from barnabas_quant.processes import split_address
from barnabas_quant.settings import Settings

COOKIE = "barnabas_session"
MEANT = "Barnabas-User"
"""The header that names whom a request is meant for: it is refused where somebody else asks."""
HOUSE = "main"
"""The account that owners act for."""
OPERATOR = "operator"

_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_PASSED_ON = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
_PORTS = {"http": 80, "https": 443}


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Say who asks, for which trading account, and whether that is an owner of the platform."""

    user: str
    account: str
    owner: bool
    via: Literal["operator", "key", "session", "open"]
    token: str = ""
    """Of a session."""

    def __repr__(self) -> str:
        return f"Identity({self.user!r}, via {self.via})"  # a token is shown nowhere


class SessionEnded(Unauthorized):
    """Say that the session of a cookie is none any more.

    The browser keeps the cookie, so that whatever else the page sends is refused as well, until it has asked who it
    acts as (`GET /api/v1/session`): its next order is not an owner's on an open gateway.
    """


class Doorkeeper:
    """Tell who asks."""

    def __init__(
        self, settings: Settings, accounts: Callable[[], AccountBook], sessions: Sessions, operator_token: str | None
    ) -> None:
        """Take what gives the accounts (or raises Busy), the sessions, and the operator's token."""
        self.open = is_open(settings)
        self._accounts = accounts
        self._sessions = sessions
        self._operator_token = operator_token

    async def identify(self, request: HTTPConnection) -> Identity | None:
        """Tell who asks; None: nobody that we know.

        Raises Unauthorized for a bearer token that is not good and for a request that is meant for another user,
        SessionEnded for a cookie that is not good, Forbidden for what another site may have sent, Busy and
        StoreUnavailable where it cannot be told now.
        """
        identity = await self._identify(request)
        meant = request.headers.get(MEANT)
        if identity is not None and meant is not None and meant != identity.user:
            raise Unauthorized(f"this is meant for {meant[:40]}, and {identity.user} asks: load the page again")
        return identity

    async def _identify(self, request: HTTPConnection) -> Identity | None:
        if (given := request.headers.get("authorization")) is not None:
            return self._bearer(given)
        if token := request.cookies.get(COOKIE):
            session = await self._sessions.find(token)
            account = session and self._accounts().get(session.user)
            if session and account and session.of(account):
                own_page(request)
                return identity_of(account, "session", token)
            raise SessionEnded("the session has ended: sign in again")
        return self.without_session(request)

    def without_session(self, request: HTTPConnection) -> Identity | None:
        """Tell who asks without a token or a cookie. Raises Forbidden for what another site may have sent."""
        if self.open and _from_here(request):
            own_page(request)
            return Identity(user=HOUSE, account=HOUSE, owner=True, via="open")
        return None

    async def require(self, request: HTTPConnection) -> Identity:
        """Tell who asks. Raises Unauthorized for nobody, and what `identify` raises."""
        identity = await self.identify(request)
        if identity is None:
            raise Unauthorized("sign in, or send an API key: Authorization: Bearer bq_...")
        return identity

    async def require_owner(self, request: HTTPConnection) -> Identity:
        """Tell which owner asks. Raises Forbidden for anybody else, and what `require` raises."""
        identity = await self.require(request)
        if not identity.owner:
            raise Forbidden("only an owner of the platform may do this")
        return identity

    def _bearer(self, given: str) -> Identity:
        scheme, _, token = given.partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        if token.startswith("bq_"):
            id, _, secret = token.removeprefix("bq_").partition("_")
            account = self._accounts().holder(id, secret)
            if account is not None:
                return identity_of(account, "key")
        elif self._operator_token and hmac.compare_digest(token.encode(), self._operator_token.encode()):
            return Identity(user=OPERATOR, account=HOUSE, owner=True, via="operator")
        raise Unauthorized("this token is not good, or not any more")


async def identify(request: HTTPConnection) -> Identity | None:
    """Tell who asks, as `Doorkeeper.identify` does."""
    return await _doorkeeper(request).identify(request)


async def require(request: HTTPConnection) -> Identity:
    """Tell who asks, as `Doorkeeper.require` does."""
    return await _doorkeeper(request).require(request)


async def require_owner(request: HTTPConnection) -> Identity:
    """Tell which owner asks, as `Doorkeeper.require_owner` does."""
    return await _doorkeeper(request).require_owner(request)


def _doorkeeper(request: HTTPConnection) -> Doorkeeper:
    found: Doorkeeper = request.app.state.doorkeeper
    return found


def identity_of(account: Account, via: Literal["key", "session"], token: str = "") -> Identity:
    """Say who a user is."""
    owner = account.role == "owner"
    return Identity(user=account.user, account=HOUSE if owner else account.user, owner=owner, via=via, token=token)


def is_open(settings: Settings) -> bool:
    """Tell whether whoever is on this machine acts as an owner."""
    if settings.gateway.open is not None:
        return settings.gateway.open
    host, _ = split_address(settings.gateway_listen)
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def own_page(request: HTTPConnection) -> None:
    """Raise Forbidden for a request that another site may have made a browser send."""
    method = request.scope.get("method", "")
    if method in ("GET", "HEAD"):
        return
    origin = request.headers.get("origin")
    if origin is not None and (_place(origin) or ()) != _place(f"http://{request.headers.get('host', '')}"):
        raise Forbidden("the request comes from a page of another site")
    # A WebSocket and DELETE have no body: the browser asks before another site may send the latter.
    if method not in ("", "DELETE") and not is_json(request.headers.get("content-type", "")):
        raise Forbidden("send Content-Type: application/json; a form of another site could not")


def _from_here(request: HTTPConnection) -> bool:
    """Tell whether a request was sent on this machine, to a name of this machine."""
    place = _place(f"http://{request.headers.get('host', '')}")
    return place is not None and place[0] in _HERE and not any(name in request.headers for name in _PASSED_ON)


def _place(address: str) -> tuple[str, int | None] | None:
    """Give host and port of an address, None for its scheme's usual port; None where it has no host (`Origin: null`).

    The scheme itself does not count: a proxy that ends TLS passes on http.
    """
    try:
        parts = urlsplit(address)
        if not parts.hostname or parts.username is not None or parts.path:
            return None
        return parts.hostname, None if parts.port == _PORTS.get(parts.scheme) else parts.port
    except ValueError:
        return None
