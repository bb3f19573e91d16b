"""What the users' part of the REST interface takes and answers, and the table of its routes; user_routes.py does it."""

from __future__ import annotations

import msgspec

from barnabas_quant.gateway.openapi import Operation, Parameter
from barnabas_quant.model.account import Account, Role


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for a new user; only an owner may make one an owner."""

    user: str
    password: str
    role: Role = "user"


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for a session."""

    user: str
    password: str


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for another password of one's own."""

    password: str
    new: str


class NewPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Give a user a password."""

    new: str


class KeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for an API key under a name of one's choice."""

    name: str


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Say who asks, and for which trading account. `open`: whoever is on this machine acts as an owner."""

    user: str
    account: str
    role: Role
    open: bool


class SessionOf(msgspec.Struct, frozen=True, kw_only=True):
    """Say who asks, as `Me`; null: nobody that is known."""

    me: Me | None


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """Answer what is kept of an API key; microseconds since 1970."""

    id: str
    name: str
    created: int


class FreshKey(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a new API key: `key` is sent as `Authorization: Bearer KEY`, and shown this once."""

    id: str
    name: str
    created: int
    key: str


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Answer the API keys of a user."""

    keys: list[Key]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a user; microseconds since 1970, and the number of API keys."""

    user: str
    role: Role
    created: int
    keys: int

    @classmethod
    def of(cls, account: Account) -> User:
        """Show of an account what is no secret."""
        return cls(user=account.user, role=account.role, created=account.created, keys=len(account.keys))


class Users(msgspec.Struct, frozen=True, kw_only=True):
    """Answer every user, by name."""

    users: list[User]


_USER = Parameter("user", "the user's name")
_TRIED = (400, 401, 429, 503)
_OWN = (401, 403, 503)

USER_OPERATIONS = (
    Operation(
        "/api/v1/users", "Register; signs in, unless an owner makes a user for somebody else", Me,
        method="post", body=Registration, status=201, failures=(400, 401, 403, 409, 503),
    ),
    Operation("/api/v1/users", "Every user (owners)", Users, failures=_OWN),
    Operation("/api/v1/users/{user}", "Remove a user (owners)", None, (_USER,), method="delete", status=204,
              failures=(401, 403, 404, 503)),
    Operation("/api/v1/users/{user}/password", "Give a user another password; ends the sessions (owners)", None,
              (_USER,), method="put", body=NewPassword, status=204, failures=(400, 401, 403, 404, 503)),
    Operation("/api/v1/session", "Say who asks, or that it is nobody", SessionOf, failures=(403, 503)),
    Operation("/api/v1/session", "Sign in", Me, method="post", body=SignIn, failures=(*_TRIED, 403)),
    Operation("/api/v1/session", "Sign out", None, method="delete", status=204, failures=(403, 503)),
    Operation("/api/v1/me", "Who asks", Me, failures=(401, 503)),
    Operation("/api/v1/me", "Remove oneself", None, method="delete", status=204, failures=_OWN),
    Operation("/api/v1/me/password", "Change one's password; ends the other sessions", None, method="put",
              body=PasswordChange, status=204, failures=(*_TRIED, 403)),
    Operation("/api/v1/me/keys", "One's API keys", Keys, failures=_OWN),
    Operation("/api/v1/me/keys", "Make an API key", FreshKey, method="post", body=KeyRequest, status=201,
              failures=(400, *_OWN)),
    Operation("/api/v1/me/keys/{id}", "Revoke an API key", None, (Parameter("id", "the key's id"),), method="delete",
              status=204, failures=(404, *_OWN)),
)  # fmt: skip
"""The table of these routes."""
