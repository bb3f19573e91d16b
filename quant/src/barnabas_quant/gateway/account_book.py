"""The accounts as the records of their topic have them: the last record of each key counts. No I/O, no clock."""

from __future__ import annotations

import hashlib
import hmac

from barnabas_quant.errors import RecordError
from barnabas_quant.model.account import Account, decode_account


class AccountBook:
    """Hold every account; `apply` is the only thing that changes it."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._removed: set[str] = set()
        self._keys: dict[str, set[tuple[str, str]]] = {}  # id of a key -> user and hash: nothing says it is drawn once

    def __len__(self) -> int:
        return len(self._accounts)

    def get(self, user: str) -> Account | None:
        """Give a user's account; None where there is none."""
        return self._accounts.get(user)

    def was(self, user: str) -> bool:
        """Tell whether there was a user of this name who is removed: the trading account is still there."""
        return user in self._removed

    def all(self) -> list[Account]:
        """Give every account, by name."""
        return [self._accounts[user] for user in sorted(self._accounts)]

    def holder(self, id: str, secret: str) -> Account | None:
        """Give the account whose API key this is; None where it is nobody's."""
        presented = hashlib.sha256(secret.encode()).hexdigest()
        for user, held in self._keys.get(id, ()):
            if hmac.compare_digest(held, presented):
                return self._accounts[user]
        return None

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Take a record of the topic. Raises RecordError, and changes nothing, for one that is none."""
        if value is None:
            if key is None:
                raise RecordError("neither key nor value")
            self._replace(key.decode(errors="replace"), None)
            return
        account = decode_account(key, value)
        self._replace(account.user, account)

    def _replace(self, user: str, account: Account | None) -> None:
        held = self._accounts.pop(user, None)
        self._removed.discard(user)
        for key in held.keys if held else ():
            holders = self._keys.get(key.id, set())
            holders.discard((user, key.hash))
            if not holders:
                self._keys.pop(key.id, None)
        if account is not None and account.removed:
            self._removed.add(user)
        elif account is not None:
            self._accounts[user] = account
            for key in account.keys:
                self._keys.setdefault(key.id, set()).add((user, key.hash))
