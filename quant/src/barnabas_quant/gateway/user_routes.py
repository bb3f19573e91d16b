"""Register, sign in and out, passwords, API keys, users: what the routes of users.py do.

Nothing that lets anybody in is ever shown again, logged, or told to `user-events`. Whoever asks with an API key acts as
its user, but changes neither password nor keys: a key that was stolen and revoked leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from barnabas_quant.errors import QuantError
from barnabas_quant.gateway import user_log
from barnabas_quant.gateway.account_book import AccountBook
from barnabas_quant.gateway.accounts import Accounts
from barnabas_quant.gateway.attempts import Attempts
from barnabas_quant.gateway.identity import COOKIE, Doorkeeper, Identity, SessionEnded, identity_of, own_page
from barnabas_quant.gateway.passwords import Passwords, check_password
from barnabas_quant.gateway.sessions import SECONDS, Sessions, mark_of
from barnabas_quant.gateway.user_log import UserLog
from barnabas_quant.gateway.users import (
    FreshKey,
    Key,
    KeyRequest,
    Keys,
    Me,
    NewPassword,
    PasswordChange,
    Registration,
    SessionOf,
    SignIn,
    User,
    Users,
)
from barnabas_quant.gateway.web import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    Unauthorized,
    guarded,
    private,
    read_body,
)
from barnabas_quant.model.account import Account, ApiKey, user_name
from barnabas_quant.model.user_event import LOGIN, REGISTRATION

log = logging.getLogger(__name__)

OnAccount = Callable[[str], Awaitable[None]]

_KEYS = 50  # of one user
_KEY_NAME = 100  # characters
_HOOK_PATIENCE = 2.0  # seconds


class UserRoutes:
    """Do what users ask for."""

    def __init__(
        self, accounts: Accounts, sessions: Sessions, doorkeeper: Doorkeeper, events: UserLog, registration: bool
    ) -> None:
        """Take what holds accounts and sessions, and whether anybody may register."""
        self.on_account: list[OnAccount] = []
        """Called with the name of a user whose trading account is to be there: at registration, at each sign-in.

        Not for owners, who act for the account of the house. Whoever signs in waits a moment for it; it goes on where
        that is not enough, and is logged where it fails.
        """
        self.attempts = Attempts()
        self._accounts = accounts
        self._sessions = sessions
        self._doorkeeper = doorkeeper
        self._events = events
        self._registration = registration
        self._passwords = Passwords()
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """Give the routes."""
        table = (
            ("/api/v1/users", "POST", self.register),
            ("/api/v1/users", "GET", self.users),
            ("/api/v1/users/{user}", "DELETE", self.remove),
            ("/api/v1/users/{user}/password", "PUT", self.set_password),
            ("/api/v1/session", "GET", self.session),
            ("/api/v1/session", "POST", self.sign_in),
            ("/api/v1/session", "DELETE", self.sign_out),
            ("/api/v1/me", "GET", self.me),
            ("/api/v1/me", "DELETE", self.remove_me),
            ("/api/v1/me/password", "PUT", self.change_password),
            ("/api/v1/me/keys", "GET", self.keys),
            ("/api/v1/me/keys", "POST", self.make_key),
            ("/api/v1/me/keys/{id}", "DELETE", self.revoke_key),
        )
        return [Route(path, guarded(handler), methods=[method]) for path, method, handler in table]

    def close(self) -> None:
        """End the threads."""
        self._passwords.close()

    # Signing up, in and out

    async def register(self, request: Request) -> Response:
        """Make a user."""
        try:
            asking = await self._doorkeeper.identify(request)
        except SessionEnded:
            asking = None
        if asking is None:
            own_page(request)
        wanted = await read_body(request, Registration)
        owner = asking is not None and asking.owner
        if not owner and wanted.role == "owner":
            raise Forbidden("only an owner makes an owner")
        if not owner and not self._registration:
            raise Forbidden("only owners make users here")
        user = _name(wanted.user)
        check_password(wanted.password)
        self._accounts.must_write()
        _free(self._accounts.known(), user)
        if not owner:
            self.attempts.register(_address(request))
        password = await self._passwords.hash(wanted.password)
        account = Account(user=user, role=wanted.role, password=password, created=_now())

        def decide(held: Account | None) -> Account:
            _free(self._accounts.book, user)
            return account

        for_another = asking is not None and asking.owner and asking.via != "open"
        # Before the user is there: where Redis is gone nobody is made who was told that it did not work.
        token = "" if for_another else await self._sessions.begin(account)
        try:
            await self._accounts.change(user, decide)
        except Conflict:
            if token:
                await self._sessions.end(token)
            raise
        self._tell(request, REGISTRATION, user, token, by=asking.user if asking is not None and for_another else "")
        await self._call(account)
        return self._signed_in(request, account, token, 201)

    async def sign_in(self, request: Request) -> Response:
        """Begin a session."""
        own_page(request)
        given = await read_body(request, SignIn)
        user = given.user.lower()
        account = self._accounts.known().get(user)
        succeeded = self.attempts.begin(user[:40], _address(request))
        if not await self._passwords.verify(account.password if account else None, given.password) or account is None:
            if account is not None:  # an unknown name may be a mistyped password: it is told nowhere
                self._tell(request, user_log.LOGIN_FAILED, user)
            raise Unauthorized("no such user, or not that user's password")
        succeeded()
        token = await self._sessions.begin(account)
        self._tell(request, LOGIN, user, token)
        if self._passwords.outdated(account.password) and self._accounts.writer:
            self._later(self._renew(account, given.password))
        await self._call(account)
        return self._signed_in(request, account, token)

    async def session(self, request: Request) -> Response:
        """Say who asks, or that it is nobody: a page asks so before anybody has signed in."""
        try:
            asking = await self._doorkeeper.identify(request)
        except SessionEnded:
            return _forget(private(self._session_of(self._doorkeeper.without_session(request))))
        response = private(self._session_of(asking))
        if asking is not None and asking.token:  # the browser keeps it as long as Redis does
            _set_cookie(request, response, asking.token)
        return response

    def _session_of(self, asking: Identity | None) -> SessionOf:
        return SessionOf(me=None if asking is None else self._me(asking))

    async def sign_out(self, request: Request) -> Response:
        """End the session, if it is one."""
        own_page(request)
        token = request.cookies.get(COOKIE, "")
        session = await self._sessions.find(token) if token else None
        if session is not None:
            await self._sessions.end(token)
            self._tell(request, user_log.LOGOUT, session.user, token)
        return _signed_out()

    # Oneself

    async def me(self, request: Request) -> Response:
        """Say who asks."""
        asking = await self._doorkeeper.require(request)
        response = private(self._me(asking))
        if asking.token:  # the browser keeps it as long as Redis does
            _set_cookie(request, response, asking.token)
        return response

    async def remove_me(self, request: Request) -> Response:
        """Remove who asks."""
        asking = await self._signed_in_user(request)
        await self._remove(request, asking.user, "")
        return _signed_out()

    async def change_password(self, request: Request) -> Response:
        """Change one's password; the session goes on as a new one."""
        asking = await self._signed_in_user(request)
        given = await read_body(request, PasswordChange)
        check_password(given.new)
        self._accounts.must_write()
        succeeded = self.attempts.begin(asking.user, _address(request))
        known = _there(self._accounts.known().get(asking.user))
        if not await self._passwords.verify(known.password, given.password):
            self._tell(request, user_log.LOGIN_FAILED, asking.user, asking.token)
            raise Unauthorized("not the password until now")
        succeeded()
        password = await self._passwords.hash(given.new)

        def decide(held: Account | None) -> Account:
            if _there(held).password != known.password:
                raise Conflict("the password was changed in the meantime")
            return _with_password(held, password)

        account = _there(await self._accounts.change(asking.user, decide))
        self._tell(request, user_log.PASSWORD_CHANGED, asking.user, asking.token)
        response = private(None)
        _set_cookie(request, response, await self._sessions.begin(account))
        return response

    async def keys(self, request: Request) -> Response:
        """List one's API keys."""
        asking = await self._doorkeeper.require(request)
        if asking.via not in ("session", "key"):
            raise Forbidden(f"{asking.user} is no user: sign in as one to have keys")
        account = _there(self._accounts.known().get(asking.user))
        return private(Keys(keys=[Key(id=key.id, name=key.name, created=key.created) for key in account.keys]))

    async def make_key(self, request: Request) -> Response:
        """Make an API key, and show it."""
        asking = await self._signed_in_user(request)
        name = (await read_body(request, KeyRequest)).name.strip()
        if not 1 <= len(name) <= _KEY_NAME or not name.isprintable():
            raise BadRequest(f"the name of a key has 1 to {_KEY_NAME} characters that can be printed")
        id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        key = ApiKey(id=id, name=name, hash=hashlib.sha256(secret.encode()).hexdigest(), created=_now())

        def decide(held: Account | None) -> Account:
            account = _there(held)
            if len(account.keys) >= _KEYS:
                raise BadRequest(f"a user has {_KEYS} keys at most: revoke one")
            return replace(account, keys=(*account.keys, key))

        await self._accounts.change(asking.user, decide)
        self._tell(request, user_log.KEY_CREATED, asking.user, asking.token, key=id, name=name)
        return private(FreshKey(id=id, name=name, created=key.created, key=f"bq_{id}_{secret}"), 201)

    async def revoke_key(self, request: Request) -> Response:
        """Revoke an API key."""
        asking = await self._signed_in_user(request)
        id: str = request.path_params["id"]

        def decide(held: Account | None) -> Account:
            account = _there(held)
            left = tuple(key for key in account.keys if key.id != id)
            if left == account.keys:
                raise NotFound(f"no key {id[:40]!r}")
            return replace(account, keys=left)

        await self._accounts.change(asking.user, decide)
        self._tell(request, user_log.KEY_REVOKED, asking.user, asking.token, key=id)
        return private(None)

    # Owners

    async def users(self, request: Request) -> Response:
        """List the users."""
        await self._doorkeeper.require_owner(request)
        return private(Users(users=[User.of(account) for account in self._accounts.known().all()]))

    async def remove(self, request: Request) -> Response:
        """Remove a user."""
        asking = await self._doorkeeper.require_owner(request)
        await self._remove(request, request.path_params["user"].lower(), asking.user)
        return private(None)

    async def set_password(self, request: Request) -> Response:
        """Give a user a password."""
        asking = await self._doorkeeper.require_owner(request)
        new = (await read_body(request, NewPassword)).new
        user = request.path_params["user"].lower()
        check_password(new)
        self._accounts.must_write()
        _there(self._accounts.known().get(user))
        password = await self._passwords.hash(new)
        await self._accounts.change(user, lambda held: _with_password(held, password))
        self._tell(request, user_log.PASSWORD_CHANGED, user, by=asking.user)
        return private(None)

    # What they share

    async def _signed_in_user(self, request: Request) -> Identity:
        """Tell which user asks with a session. Raises Forbidden for another way of asking, Unauthorized."""
        asking = await self._doorkeeper.require(request)
        if asking.via != "session":
            raise Forbidden("sign in with a password to change this")
        return asking

    async def _remove(self, request: Request, user: str, by: str) -> None:
        def decide(held: Account | None) -> None:
            _there(held)

        await self._accounts.change(user, decide)
        self._tell(request, user_log.REMOVED, user, by=by)

    async def _renew(self, account: Account, password: str) -> None:
        """Hash a password again, with the parameters of today."""
        try:
            fresh = await self._passwords.hash(password)

            def decide(held: Account | None) -> Account | None:
                if held is None or held.password != account.password:
                    return held
                return replace(held, password=fresh)

            await self._accounts.change(account.user, decide)
        except QuantError as error:  # next time, then
            log.info("%s: the password is not hashed anew: %s", account.user, error)

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _call(self, account: Account) -> None:
        async def run(hook: OnAccount) -> None:
            try:
                await hook(account.user)
            except (QuantError, TimeoutError, OSError) as error:
                log.warning("%s: the trading account may not be there: %s", account.user, error or "no answer in time")

        hooks = () if account.role == "owner" else self.on_account
        if running := [self._later(run(hook)) for hook in hooks]:
            await asyncio.wait(running, timeout=_HOOK_PATIENCE)

    def _me(self, asking: Identity) -> Me:
        return Me(
            user=asking.user,
            account=asking.account,
            role="owner" if asking.owner else "user",
            open=self._doorkeeper.open,
        )

    def _signed_in(self, request: Request, account: Account, token: str, status: int = 200) -> Response:
        response = private(self._me(identity_of(account, "session")), status)
        if token:
            _set_cookie(request, response, token)
        return response

    def _tell(self, request: Request, event: str, user: str, token: str = "", **more: str) -> None:
        agent = request.headers.get("user-agent", "")[:200]
        session = mark_of(token)[:8] if token else ""
        self._events.tell(event, user, address=_address(request), agent=agent, session=session, **more)


def _set_cookie(request: Request, response: Response, token: str) -> None:
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, token, SECONDS, path="/", secure=secure, httponly=True, samesite="strict")


def _signed_out() -> Response:
    return _forget(private(None))


def _forget(response: Response) -> Response:
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


def _with_password(held: Account | None, password: str) -> Account:
    """Give an account with another password, and no session of before."""
    account = _there(held)
    return replace(account, password=password, sessions=account.sessions + 1)


def _there(held: Account | None) -> Account:
    if held is None:
        raise NotFound("no such user")
    return held


def _free(book: AccountBook, user: str) -> None:
    if book.get(user) is not None or book.was(user):
        raise Conflict(f"the name {user} is taken")


def _name(text: str) -> str:
    try:
        return user_name(text)
    except ValueError as error:
        raise BadRequest(str(error)) from error


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _now() -> int:
    return time.time_ns() // 1000
