"""Decode what was made to hurt, as a process of its own: `python hostile.py` prints what came of each, as JSON.

Memory and time are bounded, so that a decoder without bounds ends this process and not the machine. A thread ticks
beside: how long it waited is how long a decoder kept the interpreter for itself.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2

from barnabas.console import protobuf
from barnabas.console.avro import avro
from barnabas.console.parts import Undecodable, decode

MEBIBYTE = 1 << 20
HUGE = b"\x80" * 8 + b"\x20"  # 2 to the power of 60, as Avro's long
NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
TREE = {"type": "record", "name": "Tree", "fields": [{"name": "leaves", "type": {"type": "array", "items": "Tree"}}]}
EMPTY = {"type": "record", "name": "Empty", "fields": []}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}
NULLS = {"type": "array", "items": "null"}


def doubled(levels: int) -> Any:
    """Return a record of no bytes that has two of the record before, and so on."""
    made: Any = EMPTY
    for level in range(levels):
        first = {"name": "a", "type": made}
        second = {"name": "b", "type": "Empty" if level == 0 else f"R{level}"}
        made = {"type": "record", "name": f"R{level + 1}", "fields": [first, second]}
    return made


AVRO: dict[str, tuple[Any, bytes]] = {
    "nulls": (NULLS, HUGE),
    "nulls, the size of the block too": (NULLS, b"\xff" * 8 + b"\x1f\x02"),
    "many blocks of nulls": (NULLS, b"\xc0\x84\x3d" * 100_000),  # 500,000 each
    "arrays of nulls": ({"type": "array", "items": NULLS}, b"\x02" + HUGE),
    "empty records": ({"type": "array", "items": EMPTY}, HUGE),
    "fixed of nothing": ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, HUGE),
    "map of nulls": ({"type": "map", "values": "null"}, HUGE),
    "records of no bytes": (doubled(60), b""),
    "a long chain": (NODE, b"\x02" * MEBIBYTE + b"\0"),
    "a deep tree": (TREE, b"\x02" * MEBIBYTE),
    "a long text": ("string", HUGE + b"abc"),
    "a negative length": ("bytes", b"\x03abc"),
    "a number without end": ("long", b"\xff" * 100_000),
    "a long decimal": (DECIMAL, b"\x80\x89\x7a" + b"\x55" * 1_000_000),
    "many numbers": ({"type": "array", "items": "int"}, b"\x80\x96\xb1\x02" + b"\0" * 2_500_001),
}


def nested(levels: int, tag: bytes) -> bytes:
    made = b""
    for _ in range(levels):
        size, length = len(made), b""
        while size > 0x7F:
            length += bytes([size & 0x7F | 0x80])
            size >>= 7
        made = tag + length + bytes([size]) + made
    return made


PROTOBUF: dict[str, bytes] = {
    "deep messages": nested(5000, b"\x0a"), "deep groups": b"\x0b" * 100_000, "wide messages": b"\x12\0" * 500_000,
    "a few wide messages": b"\x12\0" * 8000, "many messages": b"\x0a\0" * 1_000_000,
    "packed numbers": b"\x1a\x80\x80\x80\x02" + b"\1" * (1 << 22), "of an unknown type": b"\x22\x05\x0a\x03x/y",
    "a time out of bounds": b"\x2a\x0a\x08" + b"\xff" * 8 + b"\x3f",
}


def file() -> bytes:
    made = descriptor_pb2.FileDescriptorProto(
        package="t", syntax="proto3", dependency=["google/protobuf/any.proto", "google/protobuf/timestamp.proto"]
    )
    message = made.message_type.add(name="M")
    for number, (kind, label, named) in enumerate(
        [(11, 3, ".t.M"), (11, 3, ".t.W"), (3, 3, ""), (11, 1, ".google.protobuf.Any"),
         (11, 1, ".google.protobuf.Timestamp")], 1
    ):
        message.field.add(name=f"f{number}", number=number, type=kind, label=label, type_name=named or None)
    wide = made.message_type.add(name="W")
    for number in range(1, 2001):
        wide.field.add(name=f"f{number}", number=number, type=3, label=1)
    return made.SerializeToString()


MSGPACK: dict[str, bytes] = {
    "nested arrays": b"\x91" * 100_000 + b"\xc0", "nested maps": b"\x81\xc0" * 100_000,
    "nested keys": b"\x81" * 100_000, "an array of nothing": b"\xdd\xff\xff\xff\xff",
    "a map of nothing": b"\xdf\xff\xff\xff\xff", "arrays of nothing": b"\xdd\xff\xff\xff\xff" * 500,
    "many maps": b"\xdd\x00\x4c\x4b\x40" + b"\x80" * 5_000_000,
    "many nulls": b"\xdd\x00\x98\x96\x80" + b"\xc0" * 10_000_000,
}


class One:
    """Know one schema."""

    has_ids = False

    def __init__(self, make: Any) -> None:
        self._make = make

    def by_id(self, number: int) -> Any:
        raise Undecodable("none")

    def of_subject(self, subject: str) -> Any:
        return self._make()


def _peak() -> int:
    """Give the most memory that this process has had, in bytes; what getrusage tells begins with its parent's."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1]) << 10


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2048 * MEBIBYTE, 2048 * MEBIBYTE))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    cases: dict[str, tuple[str, bytes, One | None]] = {
        **{f"avro: {n}": ("avro", raw, One(lambda s=s: avro("x", [json.dumps(s)]))) for n, (s, raw) in AVRO.items()},
        **{f"protobuf: {n}": ("protobuf", b"\0" + raw, One(lambda: protobuf.files("x", [(None, file())])))
           for n, raw in PROTOBUF.items()},
        **{f"msgpack: {n}": ("msgpack", raw, None) for n, raw in MSGPACK.items()},
    }
    waited = [0.0]

    def tick() -> None:
        last = time.perf_counter()
        while True:
            time.sleep(0.001)
            waited[0] = max(waited[0], (now := time.perf_counter()) - last)
            last = now

    threading.Thread(target=tick, daemon=True).start()
    found = []
    for name, (wanted, raw, schemas) in cases.items():
        decode(b"\0\0", wanted, "t-value", schemas)  # imports, and the schema
        waited[0] = 0.0
        begun = time.thread_time()
        part = decode(raw, wanted, "t-value", schemas).part(64)
        found.append({
            "name": name, "seconds": time.thread_time() - begun, "waited": waited[0], "kind": part.kind,
            "hex": part.text == raw[:64].hex(), "error": part.error,
        })
    json.dump({"cases": found, "peak": _peak()}, sys.stdout)


if __name__ == "__main__":
    main()
