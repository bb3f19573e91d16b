"""chDB as an engine for many requests at once: a handle for each, so that none sees another's settings or parameters.

How it works
- One process owns the path. A handle on it costs 0.2 ms and has settings, current database and parameters of its own;
  handles work in parallel (the stress test shows that they do not mix). A session is the list of its SET and USE
  statements, said again on each handle: nothing of chDB's is kept between requests.
- Whatever a statement gives goes into a pipe. A SELECT writes there by itself (`INTO OUTFILE '/dev/fd/N'`): chDB's own
  writer, so any format streams, with one header, totals and footer, and a slow reader slows it down. Only Native with
  block headers is taken block by block, as chDB cannot write those.
- The data of an INSERT goes in by `send_insert`, which takes bytes (9 M rows/s of Native, measured); nothing here looks
  at them. chDB commits blocks of 1,048,449 rows or 256 MB: an insert below that is all or nothing.
- chDB's signal handlers are off: with them a crash hangs for ever instead of ending the process.
"""

from __future__ import annotations

import importlib
import os
import re
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Final

from barnabas_quant.clickhouse.errors import ClickHouseError, from_chdb, not_implemented, syntax_error
from barnabas_quant.clickhouse.statement import Statement, read_statement

_chdb: Any = importlib.import_module("chdb._chdb")  # its types say nothing of what is used here

HEAD: Final = 1 << 18
"""ClickHouse's `max_query_size`: a statement, without inserted data, is no longer."""
BLOCK_HEADERS: Final = range(54405, 54454)
"""Protocol versions in which Native has block headers and nothing else that chDB does not write."""
_BLOCK_HEADER: Final = b"\x01\x00\x02\xff\xff\xff\xff\x00"
_CHUNK: Final = 1 << 20
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# A query is found again, to end it, by a setting that only engines read which chDB does not have.
_TAG: Final = "stream_like_engine_insert_queue"
_SELECTS: Final = frozenset({"SELECT", "WITH", "FROM", "("})
_SHOWS: Final = frozenset({"KILL", "BACKUP", "RESTORE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Hold what a request asks for."""

    prefix: bytes
    """The `query` parameter with the end of line behind it; the statement goes on in `body`."""
    body: BinaryIO
    default_format: str = "TabSeparated"
    database: str | None = None
    role: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    read_only: bool = False
    protocol: int = 0
    """The client's protocol version; 0 is none."""
    session: Session | None = None


@dataclass(slots=True)
class Session:
    """Hold what a session's later requests begin with."""

    timeout: float
    used: float
    statements: dict[bytes, None] = field(default_factory=dict)
    """SET and USE, in order; said twice, the later place counts."""
    size: int = 0

    def remember(self, statement: bytes) -> None:
        """Keep a statement that worked. Raises ClickHouseError where a session holds too many."""
        if self.statements.pop(statement, 0) == 0:
            self.size += len(statement)
        if self.size > HEAD:
            raise ClickHouseError(36, "BAD_ARGUMENTS", f"The SET statements of a session are longer than {HEAD} bytes")
        self.statements[statement] = None


class Running:
    """Follow one query; `result_format` is set before its first byte is written."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.tag = uuid.uuid4().hex
        self.result_format: str | None = None
        self.harmless = True
        """Whether nothing is lost when it is ended: it only reads, or it has not begun."""
        self.given_up = False

    def begin(self, *, harmless: bool) -> None:
        """Say that it does its work from now on. Raises ClickHouseError where it was given up before.

        First this, then the look at `given_up`; whoever gives up does it the other way round, so no writer is ended.
        """
        self.harmless = harmless
        if self.given_up:
            raise ClickHouseError(394, "QUERY_WAS_CANCELLED", "Query was cancelled")


@dataclass(frozen=True, slots=True)
class Counts:
    """Count what a statement did; None is what chDB does not tell."""

    read_rows: int | None = None
    read_bytes: int | None = None
    written_rows: int | None = None
    written_bytes: int | None = None
    result_rows: int | None = None
    elapsed_ns: int | None = None


class Engine:
    """Own a path of chDB's. Its methods block; they may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        _chdb.set_signal_handlers_enabled(False)
        self._first = _chdb.connect(self._path)
        self._running: dict[str, Running] = {}
        self._lock = Lock()
        rows = self._ask("SELECT version(), timezone(), displayName()")
        self.version, self.timezone, self.display_name = rows[0]
        self.formats = {
            name.lower(): (name, content_type)
            for name, content_type in self._ask("SELECT name, content_type FROM system.formats")
        }

    def _ask(self, sql: str) -> list[list[str]]:
        text = self._first.query(sql, "TSV").bytes().decode()
        return [line.split("\t") for line in text.splitlines()]

    def close(self) -> None:
        """Let the path go; no query may be under way."""
        self._first.close()

    def run(self, running: Running, output: int) -> Counts:
        """Run a query and write what it gives to `output`. Raises ClickHouseError.

        A reader that goes away ends it silently, where it reads only.
        """
        with self._lock:
            self._running[running.tag] = running
        handle = _chdb.connect(self._path)
        try:
            return self._run(handle, running, output)
        except BrokenPipeError:
            return Counts()
        except RuntimeError as error:
            raise from_chdb(str(error)) from error
        finally:
            handle.close()
            with self._lock:
                del self._running[running.tag]

    def give_up(self, runnings: Iterable[Running] | None = None) -> bool:
        """End queries that only read, for None all of them; answer whether some are under way: call it again then."""
        with self._lock:
            known = [r for r in (self._running.values() if runnings is None else runnings) if r.tag in self._running]
        for one in known:
            one.given_up = True
        tags = [one.tag for one in known if one.harmless or runnings is None]
        if tags:
            handle = _chdb.connect(self._path)
            with suppress(RuntimeError):
                handle.query(f"KILL QUERY WHERE Settings['{_TAG}'] IN ({', '.join(map(_quoted, tags))}) ASYNC", "Null")
            handle.close()
        return bool(known)

    def _run(self, handle: Any, running: Running, output: int) -> Counts:
        query = running.query
        text = query.prefix + query.body.read(HEAD + 1)
        statement = read_statement(text)
        data = statement.input_format is not None and statement.input_format.lower() in self.formats
        if not data:
            text += query.body.read()
        _refuse(statement, query)
        self._prepare(handle, running)
        if data:
            running.begin(harmless=False)
            return self._insert(handle, query, statement, text)
        found = handle.classify_query(text)
        reads = found["query_class"] == _chdb.query_class.READ_ONLY
        if found["statement_count"] > 1:
            raise syntax_error("Syntax error (Multi-statements are not allowed)")
        if not statement.words:
            raise syntax_error("Syntax error: Empty query")
        running.begin(harmless=reads)
        if reads or statement.words[0] in _SHOWS:
            running.result_format = self._format_name(statement.output_format or query.default_format)
            if reads and statement.words[0] in _SELECTS:
                return self._select(handle, running, statement, text, output)
        result = handle.query(text, query.default_format)
        if found["statement_count"] == 0:  # no SQL, but it did something: a word of the command-line client, as `exit`
            raise syntax_error(f"Syntax error: {text[:100].decode(errors='replace').strip()!r} is no statement")
        if query.session is not None and statement.words[0] in {"SET", "USE"}:
            query.session.remember(text)
        if result.size():
            _write(output, (_BLOCK_HEADER if self._headed(running) else b"") + result.bytes())
        return _counts(result)

    def _prepare(self, handle: Any, running: Running) -> None:
        query = running.query
        if query.session is not None:
            for statement in list(query.session.statements):
                handle.query(statement, "Null")
        if query.database:
            handle.query(f"USE {_identifier(query.database)}")
        if query.role:
            handle.query(f"SET ROLE {_identifier(query.role)}")
        values = {_TAG: running.tag, "implicit_select": "0"} | dict(query.settings)
        values |= {f"param_{name}": value for name, value in query.parameters.items() if _NAME.match(name)}
        if query.read_only and values.get("readonly", "0") == "0":
            values["readonly"] = "2"
        unknown = next((name for name in values if not _NAME.match(name)), None)
        if unknown is not None:
            raise ClickHouseError(115, "UNKNOWN_SETTING", f"Unknown setting '{unknown}'")
        handle.query("SET " + ", ".join(f"{name} = {_quoted(value)}" for name, value in values.items()))

    def _format_name(self, name: str) -> str:
        return self.formats.get(name.lower(), (name, ""))[0]

    def _headed(self, running: Running) -> bool:
        if running.result_format != "Native" or not running.query.protocol:
            return False
        if running.query.protocol not in BLOCK_HEADERS:
            raise not_implemented(f"client_protocol_version {running.query.protocol}: only 54405 to 54453 are spoken")
        return True

    def _select(self, handle: Any, running: Running, statement: Statement, text: bytes, output: int) -> Counts:
        if self._headed(running):
            return self._blocks(handle, running, text, output)
        clause = f" INTO OUTFILE '/dev/fd/{output}' APPEND COMPRESSION 'none' "
        if statement.output_format is None:
            clause += f"FORMAT {_identifier(running.query.default_format)}"
        result = handle.query(text[: statement.clause_at] + clause.encode() + text[statement.clause_at :], "Null")
        return _counts(result)

    def _blocks(self, handle: Any, running: Running, text: bytes, output: int) -> Counts:
        stream = handle.send_query(text, "Native")
        try:
            while block := handle.streaming_fetch_result(stream).bytes():
                _write(output, _BLOCK_HEADER + block)
        except BrokenPipeError:
            handle.streaming_cancel_query(stream)
            raise
        return Counts()

    def _insert(self, handle: Any, query: Query, statement: Statement, text: bytes) -> Counts:
        name = self._format_name(statement.input_format or "")
        if name == "Native" and query.protocol:
            raise not_implemented("client_protocol_version with inserted Native data: leave it out")
        if name == "Values" and handle.classify_query(text)["statement_count"] > 1:
            raise syntax_error("Syntax error (Multi-statements are not allowed)")
        stream = handle.send_insert(text[: statement.clause_at], name)
        try:
            part = text[statement.data_at :]
            while part:
                handle.insert_append(stream, part)
                part = query.body.read(_CHUNK)
        except BaseException:
            with suppress(RuntimeError):
                handle.insert_cancel(stream)
            raise
        return _counts(handle.insert_done(stream))


def _refuse(statement: Statement, query: Query) -> None:
    words = statement.words
    if statement.files:
        raise not_implemented("INTO OUTFILE and FROM INFILE name files of a client's; over HTTP there are none")
    if words[:1] in {("CREATE",), ("ATTACH",), ("REPLACE",)} and "TEMPORARY" in words[:4]:
        raise not_implemented("Temporary tables are not kept between requests here: use a table of the engine Memory")
    if words[:1] == ("SYSTEM",) and words[1:2] in {("SHUTDOWN",), ("KILL",), ("SUSPEND",)}:
        raise not_implemented(f"SYSTEM {words[1]}: end the process instead")


def _counts(result: Any) -> Counts:
    return Counts(
        result.storage_rows_read(),
        result.storage_bytes_read(),
        result.rows_written(),
        result.bytes_written(),
        result.rows_read(),
        int(result.elapsed() * 1e9),
    )


def _write(output: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(output, view) :]


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _identifier(text: str) -> str:
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"
