"""Routes of records: scans, exports, one record, writing."""

from __future__ import annotations

import asyncio
import base64
import binascii
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal, cast, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from barnabas.console import filters, messages
from barnabas.console.clusters import Clusters, KafkaCluster
from barnabas.console.errors import BadRequest
from barnabas.console.exports import WRITERS
from barnabas.console.parts import FORMATS, Schemas
from barnabas.console.records import Formats
from barnabas.console.scanning import Query, Seek
from barnabas.console.settings import ConsoleSettings
from barnabas.console.streams import RunningScan, Scans, StreamResponse, as_file, as_lines
from barnabas.console.web import NameRoute, answer, guarded, number, read_body, whole

_SHOWN: Final = 4096
_MOST_SHOWN: Final = 1 << 20
_LINES: Final = 1000
_EXPORTED: Final = 1_000_000
_TEXT: Final = 1000
_LONG: Final = 2**63 - 1


class Content(msgspec.Struct):
    """Hold a key, a value or a header that is written."""

    kind: Literal["null", "text", "hex", "base64"]
    data: str = ""

    def raw(self, name: str) -> bytes | None:
        """Return the bytes. Raises `BadRequest`."""
        if self.kind == "null":
            return None
        try:
            if self.kind == "text":
                return self.data.encode()
            if self.kind == "hex":
                return bytes.fromhex(self.data)
            return base64.b64decode(self.data, validate=True)
        except (ValueError, binascii.Error) as e:
            raise BadRequest(f"{name}: no {self.kind}: {e}") from None


class Header(msgspec.Struct):
    """Hold a header that is written."""

    name: str
    value: Content


class NewRecord(msgspec.Struct):
    """Hold a record that is written."""

    value: Content
    key: Content = msgspec.field(default_factory=lambda: Content("null"))
    headers: list[Header] = []
    partition: int | None = None
    timestamp: str | None = None


class RecordRoutes:
    """Answer questions about records."""

    def __init__(self, clusters: Clusters, settings: ConsoleSettings, schemas: Schemas | None) -> None:
        self._clusters, self._settings, self._schemas = clusters, settings, schemas
        self.scans = Scans(settings.scans_at_once)
        self._threads = ThreadPoolExecutor(4, "records")

    def close(self) -> None:
        """Give threads back."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def routes(self) -> list[NameRoute]:
        """Return the routes."""
        topic = "/api/clusters/{cluster}/topics/{topic}"
        return [
            NameRoute(f"{topic}/messages", guarded(self.scan)),
            NameRoute(f"{topic}/messages", guarded(self.write), methods=["POST"]),
            NameRoute(f"{topic}/messages/{{partition}}/{{offset}}", guarded(self.one)),
            NameRoute(f"{topic}/export", guarded(self.export)),
        ]

    def _of(self, request: Request) -> tuple[KafkaCluster, str]:
        return self._clusters[request.path_params["cluster"]], request.path_params["topic"]

    # --- scans ----------------------------------------------------------------------------------------------

    async def scan(self, request: Request) -> Response:
        """Stream records as lines of JSON."""
        scan = self._running(request, most=_LINES, shown=_SHOWN, seconds=self._settings.scan_seconds)
        await scan.start()
        return StreamResponse(scan, as_lines(scan), "application/x-ndjson", self._settings.stall_seconds)

    async def export(self, request: Request) -> Response:
        """Stream records as a file."""
        kind = request.query_params.get("format", "json")
        if kind not in WRITERS:
            raise BadRequest("format: json or csv")
        scan = self._running(
            request, most=_EXPORTED, shown=_MOST_SHOWN, seconds=self._settings.export_seconds, default=10_000,
            live=False,
        )
        await scan.start()
        writer = WRITERS[kind]()
        name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in request.path_params["topic"])
        return StreamResponse(
            scan, as_file(scan, writer), writer.media_type, self._settings.stall_seconds,
            {"Content-Disposition": f'attachment; filename="{name}.{kind}"'},
        )

    def _running(
        self, request: Request, *, most: int, shown: int, seconds: float, default: int = 100, live: bool = True
    ) -> RunningScan:
        cluster, topic = self._of(request)
        query, start = self._query(request, topic, most, shown, default)
        if query.seek == "live" and not live:
            raise BadRequest("from: an export has an end: newest, oldest, offset or time")
        return RunningScan(self.scans, lambda: messages.OpenScan(cluster, query, start, self._schemas, seconds))

    def _query(
        self, request: Request, topic: str, most: int, shown: int, default: int
    ) -> tuple[Query, messages.Start]:
        asked = request.query_params
        seek = asked.get("from", "newest")
        if seek not in get_args(Seek):
            raise BadRequest(f"from: one of {', '.join(get_args(Seek))}, not {seek[:40]!r}")
        text, where = asked.get("text", ""), asked.get("where", "").strip()
        if len(text) > _TEXT:
            raise BadRequest(f"text: {_TEXT} characters at most")
        query = Query(
            topic=topic, seek=cast(Seek, seek), limit=number(request, "limit", 1, most, default), text=text,
            where=filters.parse(where) if where else None, formats=self._formats(request),
            bytes=number(request, "bytes", 1, _MOST_SHOWN, shown),
        )
        at = self._places(asked.get("at", ""))
        if seek == "offset" and "offset" not in asked and not at:
            raise BadRequest("offset: where to begin?")
        if seek == "time" and "time" not in asked:
            raise BadRequest("time: where to begin? In milliseconds since 1970")
        partitions = None
        if asked.get("partitions"):
            words = asked["partitions"].split(",")
            partitions = tuple(sorted({whole("partitions", word, 0, 2**31 - 1) for word in words}))
        return query, messages.Start(
            number(request, "offset", 0, _LONG, 0), number(request, "time", 0, _LONG, 0), at, partitions
        )

    def _places(self, text: str) -> dict[int, int]:
        """Read `0:15,3:7`: an offset for each partition. Raises `BadRequest`."""
        found = {}
        for word in text.split(",") if text else ():
            partition, _, offset = word.partition(":")
            found[whole("at", partition, 0, 2**31 - 1)] = whole("at", offset, 0, _LONG)
        return found

    def _formats(self, request: Request) -> Formats:
        wanted = {name: request.query_params.get(name, "auto") for name in ("key", "value")}
        for name, word in wanted.items():
            if word not in FORMATS:
                raise BadRequest(f"{name}: one of {', '.join(FORMATS)}, not {word[:40]!r}")
        return Formats(**wanted)

    # --- one record, writing --------------------------------------------------------------------------------

    async def one(self, request: Request) -> Response:
        """Return one record whole, or the bytes of its key or value."""
        cluster, topic = self._of(request)
        partition = whole("partition", request.path_params["partition"], 0, 2**31 - 1)
        offset = whole("offset", request.path_params["offset"], 0, _LONG)
        formats = self._formats(request)
        part = request.query_params.get("part")
        if part not in (None, "key", "value"):
            raise BadRequest("part: key or value")
        loop = asyncio.get_running_loop()
        view = await loop.run_in_executor(
            self._threads, messages.one, cluster, topic, partition, offset, formats, self._schemas
        )
        if part is None:
            return answer(await loop.run_in_executor(self._threads, messages.whole, view))
        raw = view.raw_key if part == "key" else view.raw_value
        if raw is None:
            return Response(None, 204)
        return Response(raw, media_type="application/octet-stream", headers={
            "Content-Disposition": f'attachment; filename="{partition}-{offset}-{part}.bin"'
        })

    async def write(self, request: Request) -> Response:
        """Write a record."""
        cluster, topic = self._of(request)
        new = await read_body(request, NewRecord)
        record = messages.Record(
            new.key.raw("key"), new.value.raw("value"),
            [(header.name, header.value.raw(f"header {header.name}")) for header in new.headers], new.partition,
            None if new.timestamp is None else whole("timestamp", new.timestamp, 0, _LONG),
        )
        try:
            for header in new.headers:
                header.name.encode()
        except UnicodeEncodeError:
            raise BadRequest("headers: a name is no text") from None
        loop = asyncio.get_running_loop()
        done = await loop.run_in_executor(self._threads, messages.write, cluster, topic, record)
        return answer(done, 201)
