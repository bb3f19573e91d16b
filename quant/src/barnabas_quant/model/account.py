"""The record of `accounts`: one JSON object a user, key user name; the last record of a key is the account.

    {"user":"li.lei","role":"user","password":"$argon2id$v=19$...","created":1759905000000000,"sessions":0,"keys":[]}

A user who is removed leaves a record with `removed` and nothing to sign in with: the name is given to nobody again, as
its trading account stays. A record without a value erases the name as well. Nothing here lets anybody in: a password
stands as argon2id's text, a key as the SHA-256 of its secret. Members that are not known are passed over.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from barnabas_quant.errors import RecordError

Role = Literal["user", "owner"]

RESERVED = frozenset({"main", "operator"})
"""Names that no user has: the account of the house, and whoever holds the operator's token."""

_PATTERN = r"^[a-z][a-z0-9_.-]{1,31}\Z"
_NAME = re.compile(_PATTERN)


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what is kept of an API key."""

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{12}\Z")]
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    hash: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    """SHA-256 of the secret, in hexadecimal digits."""
    created: int
    """Microseconds since 1970."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what is known of a user."""

    topic: ClassVar[str] = "accounts"

    user: Annotated[str, Meta(pattern=_PATTERN)]
    role: Role
    password: Annotated[str, Meta(pattern=r"^(?:\$argon2id\$|\Z)")]
    """argon2id's text form: parameters, salt, hash. Empty where the user is removed."""
    created: int
    """Microseconds since 1970."""
    sessions: int = 0
    """Generation of the sessions that are good; a change of the password begins the next one."""
    keys: tuple[ApiKey, ...] = ()
    removed: int = 0
    """When the user was removed, microseconds since 1970; 0: not."""

    @property
    def key(self) -> bytes:
        """Give the record's Kafka key."""
        return self.user.encode()


_decoder = msgspec.json.Decoder(Account)
_encoder = msgspec.json.Encoder()


def user_name(text: str) -> str:
    """Give a name as it is kept: in small letters. Raises ValueError, in words, for what is none."""
    name = text.lower()
    if not _NAME.match(name):
        raise ValueError("a user's name is a letter and then 1 to 31 letters, digits, dots, dashes or underscores")
    if name in RESERVED:
        raise ValueError(f"{name} is a name of the platform's own")
    return name


def encode_account(account: Account) -> bytes:
    """Write an account as the JSON that goes into its topic."""
    return _encoder.encode(account)


def decode_account(key: bytes | None, value: bytes) -> Account:
    """Read a record of the topic. Raises RecordError, which shows no password and no hash, for anything else."""
    try:
        account = _decoder.decode(value)
    except (ValueError, RecursionError) as error:  # the former is msgspec's base, and that of what is no UTF-8
        raise RecordError(f"no account: {error}") from error
    if account.key != key:
        raise RecordError("an account under another user's key")
    return account
