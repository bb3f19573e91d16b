"""Make frames that no client would send: random, damaged, and well-formed with odd values."""

from __future__ import annotations

import socket
import struct
from random import Random
from typing import Any

from barnabas.handlers.registry import ROUTES
from barnabas.protocol.batch import HEADER_SIZE, assemble, build_batch, read_header
from barnabas.protocol.compression import compress
from barnabas.protocol.messages.delete_topics import DeleteTopicsRequest
from barnabas.protocol.messages.join_group import JoinGroupRequest
from barnabas.protocol.messages.produce import ProduceRequest
from barnabas.protocol.messages.sync_group import SyncGroupRequest
from barnabas.protocol.schema import ZERO_UUID, Field

from ..values import make
from ..wire import frame

#: a topic that stays, and one that may be deleted
TOPIC, VICTIM = "hostile", "victim"
_OTHERS = [VICTIM, "", "no-such-topic", "a.b", "a_b", "bad name", "x" * 250, "Ä", "__consumer_offsets", "."]
TOPICS = [TOPIC] * 12 + _OTHERS
GROUPS = ["group", "", "other-group", "\x00"]
#: keys that change no limit of the broker itself
KEYS = ["retention.ms", "max.message.bytes", "cleanup.policy", "no.such.key", "", "segment.ms", "x" * 32000]
VALUES = ["", "-1", "1", "100", "delete", "compact", "9" * 40, "NaN"]
#: requests whose answer may wait for other members: they come last on a connection
_WAITING = (JoinGroupRequest, SyncGroupRequest)
_INTERESTING = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)


def odd_batch(chance: Random) -> bytes:
    """Return a batch whose CRC is right, and whose header and records need not be."""
    count = chance.choice((1, 2, 5))
    plain = build_batch([(chance.choice((None, b"k")), chance.randbytes(9)) for _ in range(count)], 1)
    header, section = read_header(plain), bytearray(plain[HEADER_SIZE:])
    odd = {
        "attributes": chance.choice((1, 2, 3, 4, 5, 7, 8, 16, 32, 48, 64, -1, -(1 << 15))),
        "base_timestamp": chance.choice((-1, -(1 << 63), (1 << 63) - 1)),
        "max_timestamp": chance.choice((-1, -(1 << 63), (1 << 63) - 1)),
        "producer_id": chance.choice((0, 1, -2, (1 << 63) - 1, -(1 << 63))),
        "producer_epoch": chance.choice((0, -2, (1 << 15) - 1)),
        "base_sequence": chance.choice((0, 5, -2, (1 << 31) - 1)),
        "record_count": chance.choice((0, -1, 6, (1 << 31) - 1)),
        "last_offset_delta": chance.choice((-1, 7, (1 << 31) - 1, -(1 << 31))),
        "base_offset": chance.choice((-1, (1 << 63) - 1)),
        "magic": chance.choice((0, 1, 3, -1)),
    }
    chosen = chance.sample(sorted(odd), chance.choice((0, 1, 1, 2, 3)))
    if "record_count" in chosen and "last_offset_delta" in chosen:
        odd["last_offset_delta"] = max(-(1 << 31), odd["record_count"] - 1)  # they agree with each other
    if chance.random() < 0.3:
        section[chance.randrange(len(section))] ^= 1 << chance.randrange(8)
    if "attributes" in chosen and 0 < odd["attributes"] & 7 < 5 and chance.random() < 0.7:
        section = bytearray(compress(odd["attributes"] & 7, bytes(section)))
    return bytes(assemble(header._replace(**{name: odd[name] for name in chosen}), section))


def choose(field: Field, chance: Random) -> Any:
    """Prefer values that reach deep into handlers: names that exist, counts that are affordable."""
    name, wire = field.name, field.wire
    if wire == "records":
        return odd_batch(chance) if chance.random() < 0.9 else None
    if name == "timestamp" and wire == "int64":
        return chance.choice((-1, -2, -3, -4, -5, -6, -7, 0, 1, 1 << 40, (1 << 63) - 1, -(1 << 63)))
    if wire == "string":
        if name == "value":
            return chance.choice(VALUES)
        if name == "name" and field.optional is False and chance.random() < 0.2:
            return chance.choice(KEYS)
        if "group" in name or name == "key":
            return chance.choice(GROUPS)
        if name in ("name", "topic", "topic_name", "topics", "topic_names", "resource_name"):
            return chance.choice(TOPICS)
        if "member" in name:
            return chance.choice(("", "member", "m" * 300))
        return None
    if name in ("num_partitions", "count"):
        return chance.choice((-(1 << 31), -2, -1, 0, 1, 3, (1 << 31) - 1))
    if name == "max_wait_ms":
        return chance.choice((-(1 << 31), -1, 0))
    if name in ("partition", "partition_index", "index", "partitions", "partition_indexes") and wire == "int32":
        return chance.choice((0, 0, 0, 1, -1, 1 << 30, -(1 << 31), (1 << 31) - 1))
    if name in ("current_leader_epoch", "last_fetched_epoch", "leader_epoch", "session_epoch"):
        return chance.choice((0, 0, -1, -1, 1, -(1 << 31), (1 << 31) - 1))
    if name in ("session_id", "session_timeout_ms", "rebalance_timeout_ms"):
        return chance.choice((0, 0, 1, 6000, 10000, -1, (1 << 31) - 1))
    if name in ("resource_type", "resource_types"):
        return chance.choice((0, 2, 2, 4, 8, 16, 32, -1, 127))
    if name == "node_id" or name == "broker_id":
        return chance.choice((0, 1, -1, 1 << 30))
    return None


def _temper(message: Any, chance: Random) -> None:
    """Take out what would keep most requests of a kind from the code that is worth reaching."""
    if isinstance(message, ProduceRequest):
        if chance.random() < 0.9:
            message.transactional_id = None
        if message.acks == 0 or chance.random() < 0.8:  # an answer tells that it was served
            message.acks = chance.choice((1, -1))
    elif isinstance(message, DeleteTopicsRequest):
        message.topic_names = [VICTIM if name == TOPIC else name for name in message.topic_names]
        for topic in message.topics:
            topic.topic_id = ZERO_UUID
            topic.name = VICTIM if topic.name == TOPIC else topic.name


class Arsenal:
    """Hold well-formed frames of every API and version that is served, to be sent as they are or damaged."""

    def __init__(self, seed: int, each: int, topic_id: bytes) -> None:
        self.chance = chance = Random(seed)

        def choose_known(field: Field, chance: Random) -> Any:
            known = field.name == "topic_id" and chance.random() < 0.7
            return topic_id if known else choose(field, chance)

        self.prompt: list[bytes] = []
        self.waiting: list[bytes] = []
        for route in ROUTES.values():
            api = route.api
            cls = api.request_class()
            for version in range(api.min_version, api.max_version + 1):
                for _ in range(each):
                    message = make(cls, version, chance, choose_known)
                    _temper(message, chance)
                    client_id = chance.choice(("", None, "hostile"))
                    made = frame(message, version, correlation=chance.getrandbits(31), client_id=client_id)
                    (self.waiting if cls in _WAITING else self.prompt).append(made)

    def damaged(self) -> bytes:
        """Return one frame that is wrong somewhere, or random bytes."""
        chance = self.chance
        kind = chance.random()
        if kind < 0.08:
            return chance.randbytes(chance.randint(1, 300))
        if kind < 0.16:
            body = chance.randbytes(chance.randint(0, 120))
            return struct.pack(">i", len(body)) + body
        data = bytearray(chance.choice(self.prompt if kind < 0.9 else self.waiting))
        if kind < 0.45:  # flip bits, anywhere behind the length
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(4, len(data))] ^= 1 << chance.randrange(8)
        elif kind < 0.6:  # counts and lengths: set bytes to what means null, none or a great many
            at = chance.randrange(4, len(data))
            width = chance.choice((1, 2, 4))
            data[at : at + width] = bytes([chance.choice(_INTERESTING)]) * width
            struct.pack_into(">i", data, 0, len(data) - 4)
        elif kind < 0.7:  # cut
            del data[chance.randrange(4, len(data)) :]
            struct.pack_into(">i", data, 0, len(data) - 4)
        elif kind < 0.78:  # bytes behind the end
            data += chance.randbytes(chance.randint(1, 40))
            struct.pack_into(">i", data, 0, len(data) - 4)
        elif kind < 0.86:  # another key or version
            struct.pack_into(">hh", data, 4, chance.randint(-3, 100), chance.choice((-1, 0, 1, 3, 9, 12, 99, 32767)))
        else:  # a length that lies
            struct.pack_into(">i", data, 0, chance.choice((-1, 0, 7, 1 << 20, -(1 << 31), (1 << 31) - 1)))
        return bytes(data)

    def volley(self, well_formed: int) -> tuple[bytes, int]:
        """Return frames for one connection and how many: well-formed ones, and at the end one that may be anything."""
        chance = self.chance
        frames = chance.choices(self.prompt, k=well_formed)
        frames.append(self.damaged() if chance.random() < 0.9 else chance.choice(self.waiting))
        return b"".join(frames), len(frames)


def fire(address: tuple[str, int], data: bytes, timeout: float) -> int:
    """Send bytes, say that no more will come, read to the end; return how many answers came."""
    received = bytearray()
    with socket.create_connection(address, timeout=timeout) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(1 << 18):
                received += piece
        except (BrokenPipeError, ConnectionResetError, OSError) as e:
            if isinstance(e, TimeoutError):
                raise
    count = at = 0
    while at + 4 <= len(received):
        (size,) = struct.unpack_from(">i", received, at)
        at += 4 + size
        count += at <= len(received)
    return count
