"""Find schemas: in a folder of files, or in a registry; what was found, or not, is remembered.

A folder of schemas holds Avro as `NAME.avsc` and Protobuf as `NAME.desc` (a FileDescriptorSet, as `protoc
--include_imports -o NAME.desc` writes it). A NAME of digits is a schema's id in Confluent's header; any other is the
subject, `TOPIC-key` or `TOPIC-value`, whose records have no header. Avro needs fastavro and Protobuf protobuf, which
`barnabas[schemas]` brings. Calls block while a registry is asked: once for each id, however many threads want it, and
not at all for a while after it did not answer.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from barnabas.console import protobuf
from barnabas.console.avro import avro
from barnabas.console.parts import Schema, Undecodable
from barnabas.console.registry import NoAnswer, Registry
from barnabas.tools.errors import ToolError

_REMEMBERED: Final = 10.0
_KEPT: Final = 1000
_NEVER: Final = (0.0, "")


class Library:
    """Know the schemas of a registry and of a folder. Safe to be used by several threads."""

    def __init__(self, registry: str | None, folder: Path | None) -> None:
        self._registry = Registry(registry) if registry else None
        self._files: dict[str, Path] = {}
        if folder is not None:
            if not folder.is_dir():
                raise ToolError(f"--schemas {folder}: there is no such folder")
            self._files = {p.stem: p for p in sorted(folder.iterdir()) if p.suffix in (".avsc", ".desc")}
        self.has_ids = self._registry is not None or any(name.isdigit() for name in self._files)
        self._known: dict[str, Schema] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        self._silent = _NEVER
        self._asked: dict[str, Future[Schema]] = {}
        self._lock = threading.Lock()

    def by_id(self, number: int) -> Schema:
        """Return the schema of a Confluent header. Raises `Undecodable`."""
        return self._remembered(str(number))

    def of_subject(self, subject: str) -> Schema | None:
        """Return the schema of a file that is called as the subject."""
        return self._remembered(subject) if subject in self._files else None

    def _remembered(self, name: str) -> Schema:
        if (known := self._known.get(name)) is not None:
            return known
        with self._lock:
            if (known := self._known.get(name)) is not None:
                return known
            for at, why in self._failed.get(name, _NEVER), _NEVER if name in self._files else self._silent:
                if why and time.monotonic() - at < _REMEMBERED:
                    raise Undecodable(why)
            asked = self._asked.get(name)
            is_first = asked is None
            if asked is None:
                asked = self._asked[name] = Future()
        if is_first:
            self._ask(name, asked)
        try:
            return asked.result()
        except Undecodable as e:
            raise Undecodable(str(e)) from None  # its own for each thread

    def _ask(self, name: str, asked: Future[Schema]) -> None:
        """Find a schema, without the lock, and remember it or why there is none."""
        try:
            found = self._find(name)
        except BaseException as e:
            with self._lock:
                del self._asked[name]
                if isinstance(e, NoAnswer):
                    self._silent = (time.monotonic(), str(e))
                elif isinstance(e, Undecodable):
                    if len(self._failed) >= _KEPT:
                        self._failed.clear()
                    self._failed[name] = (time.monotonic(), str(e))
            asked.set_exception(e)
            return
        with self._lock:
            del self._asked[name]
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[name] = found
        asked.set_result(found)

    def _find(self, name: str) -> Schema:
        path = self._files.get(name)
        if path is not None:
            try:
                raw = path.read_bytes()
            except OSError as e:
                raise Undecodable(f"{path.name}: {e.strerror}") from None
            if path.suffix == ".avsc":
                return avro(path.stem, [raw.decode("utf-8", "replace")])
            return protobuf.file_set(path.stem, raw, has_indexes=name.isdigit())
        if self._registry is None:
            raise Undecodable(f"schema {name} is not among the files")
        return self._registry.find(name)
