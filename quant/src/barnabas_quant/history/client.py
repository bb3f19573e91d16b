"""ClickHouse over its HTTP interface, for services: parameters never pasted into a query, errors told apart.

Two kinds of failure: a server that does not answer (StoreUnavailable: the same can be tried again later, and whether it
was done is not known), and one that refuses (ClickHouseError, with ClickHouse's code: nothing was done).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec

from barnabas_quant.errors import QuantError, StoreUnavailable

_Row = TypeVar("_Row", bound=msgspec.Struct)

_SETTINGS = {
    "default_format": "JSONEachRow",
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_quote_decimals": "1",
    "output_format_decimal_trailing_zeros": "1",
    "output_format_json_named_tuples_as_objects": "0",
}

_BUSY = frozenset({159, 202, 203, 209, 210, 241, 242, 252, 285, 319, 999})
"""Codes of a server that could do the same later: time-outs, too many queries or parts, memory, read-only, Keeper."""


class ClickHouseError(QuantError):
    """Say what ClickHouse refused; `code` is its number of the error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"ClickHouse: {message}")
        self.code = code


class _Address:
    """Hold what follows from a URL, `http://[user:password@]HOST:PORT/DATABASE`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.database = parts.path.strip("/") or "default"
        self.where = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "/", "", ""))
        self.auth = None if parts.username is None else (parts.username, parts.password or "")

    def parameters(self, given: Mapping[str, object], settings: Mapping[str, str]) -> dict[str, str]:
        """Make the parameters of a request."""
        filled = {f"param_{name}": str(value) for name, value in given.items()}
        return {"database": self.database, **_SETTINGS, **settings, **filled}

    def check(self, answer: httpx.Response) -> bytes:
        """Give the body of a good answer. Raises ClickHouseError, StoreUnavailable."""
        if answer.status_code == 200 and "x-clickhouse-exception-code" not in answer.headers:
            return answer.content
        text = answer.text.strip()[:1000]
        code = answer.headers.get("x-clickhouse-exception-code", "")
        if not code.isdigit() or int(code) in _BUSY:
            raise StoreUnavailable(f"ClickHouse at {self.where}: {answer.status_code} {text}")
        raise ClickHouseError(int(code), text)

    def silent(self, error: httpx.HTTPError) -> StoreUnavailable:
        """Make the error of a server that does not answer."""
        return StoreUnavailable(f"ClickHouse does not answer at {self.where}: {error or type(error).__name__}")


def _rows(content: bytes, kind: type[_Row]) -> list[_Row]:
    return msgspec.json.Decoder(kind, strict=False).decode_lines(content)


class ClickHouse:
    """Ask and write, waiting for each answer. Raises StoreUnavailable or ClickHouseError from every method."""

    def __init__(self, url: str, patience: float = 60.0) -> None:
        """Connect at first use; `patience` in seconds, of an answer."""
        self._address = _Address(url)
        self._client = httpx.Client(auth=self._address.auth, timeout=httpx.Timeout(patience, connect=2.0))

    def rows(self, query: str, kind: type[_Row], **parameters: object) -> list[_Row]:
        """Give the rows of a query, whose `{name:Type}` are filled from `parameters`."""
        return _rows(self._post(query.encode(), parameters, {}), kind)

    def command(self, query: str, **parameters: object) -> None:
        """Do what gives no rows."""
        self._post(query.encode(), parameters, {})

    def insert(self, into: str, data: bytes, format: str = "JSONEachRow") -> None:
        """Insert data of a format into a table, `NAME` or `NAME (COLUMN, ...)`; what is not given gets its default."""
        settings = {
            "query": f"INSERT INTO {into} FORMAT {format}",
            "input_format_skip_unknown_fields": "1",
            "input_format_null_as_default": "0",
            "input_format_json_named_tuples_as_objects": "0",
            "max_partitions_per_insert_block": "0",  # whatever months a batch holds
        }
        self._post(data, {}, settings)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _post(self, body: bytes, parameters: Mapping[str, object], settings: Mapping[str, str]) -> bytes:
        try:
            answer = self._client.post(
                self._address.where, params=self._address.parameters(parameters, settings), content=body
            )
        except httpx.HTTPError as error:
            raise self._address.silent(error) from error
        return self._address.check(answer)


class AsyncClickHouse:
    """Ask from a loop. Raises StoreUnavailable or ClickHouseError from every method."""

    def __init__(self, url: str, patience: float = 10.0) -> None:
        self._address = _Address(url)
        self._client = httpx.AsyncClient(auth=self._address.auth, timeout=httpx.Timeout(patience, connect=1.0))

    async def rows(self, query: str, kind: type[_Row], **parameters: object) -> list[_Row]:
        """Give the rows of a query, whose `{name:Type}` are filled from `parameters`."""
        try:
            answer = await self._client.post(
                self._address.where, params=self._address.parameters(parameters, {}), content=query.encode()
            )
        except httpx.HTTPError as error:
            raise self._address.silent(error) from error
        return _rows(self._address.check(answer), kind)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
