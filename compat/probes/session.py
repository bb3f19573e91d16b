"""Hold a conversation with one broker and write it down, so that two brokers' transcripts can be laid side by side.

A probe is a function that takes a `Session`. It runs once for each level: the lowest, a middle and the highest version
of every API. What two brokers may differ in (ids, times, addresses) is masked in the transcript; lists whose order
means nothing are sorted by what names their entries.
"""

from __future__ import annotations

import base64
import re
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from barnabas.protocol.api import APIS
from barnabas.protocol.batch import build_batch
from barnabas.protocol.codec import decode, encode
from barnabas.protocol.errors import SchemaError
from barnabas.protocol.messages.create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from barnabas.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from barnabas.protocol.schema import ZERO_UUID, Message, Struct

LEVELS = ("low", "middle", "high")
CLOSED, SILENT, UNFIT = "the connection closes", "no answer", "this version cannot say that"
PATIENCE = 20.0

#: fields that name an entry of a list: the list is sorted by them
NAMES = (
    "name", "topic", "topic_name", "resource_type", "resource_name", "group_id", "feature", "key", "api_key",
    "partition_index", "partition", "index", "partition_id", "member_id", "group_instance_id", "producer_id", "node_id",
)
#: fields that differ between any two brokers
MASKED = {
    "throttle_time_ms", "cluster_id", "host", "port", "topic_id", "log_dir", "total_bytes", "usable_bytes",
    "session_id",
    "last_timestamp", "last_fetch_timestamp", "last_caught_up_timestamp", "log_end_offset",
    "finalized_features_epoch", "partition_size",
}
_RANGE = re.compile(r"within \[-?\d+, \d+\]")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Link:
    """Be one connection. A frame that is sent is answered, or the connection closes, or nothing comes for long."""

    def __init__(self, address: str, patience: float = PATIENCE) -> None:
        self._address = address
        self._patience = patience
        self._socket: socket.socket | None = None
        self._next = 0

    def _connected(self) -> socket.socket:
        if self._socket is None:
            host, _, port = self._address.rpartition(":")
            self._socket = socket.create_connection((host, int(port)), timeout=self._patience)
        return self._socket

    def begin(self, message: Message, version: int, client_id: str | None = "probe") -> int:
        """Send a request and return the number to read its answer by; raises `SchemaError` where it has no encoding."""
        api = APIS[message.KEY]
        self._next += 1
        client = (client_id or "").encode()
        frame = struct.pack(">hhih", message.KEY, version, self._next, len(client) if client_id is not None else -1)
        frame += client + (b"\x00" if api.request_header_version(version) == 2 else b"") + encode(message, version)
        self._connected().sendall(struct.pack(">i", len(frame)) + frame)
        return self._next

    def finish(self, message: Message, version: int, number: int) -> Any:
        """Read the answer to a request: a message, or CLOSED, or SILENT."""
        frame = self.read()
        if isinstance(frame, str):
            return frame
        api = APIS[message.KEY]
        if api.key == 18 and frame[4:6] == b"\x00\x23":
            version = 0  # UNSUPPORTED_VERSION comes in version 0
        (got,) = struct.unpack_from(">i", frame)
        assert got == number, f"the answer to {got} came, not to {number}"
        return decode(api.response_class(), version, frame[4 + api.response_header_version(version) :])

    def read(self) -> bytes | str:
        """Read one frame without its length."""
        try:
            size = self._exactly(4)
            return self._exactly(struct.unpack(">i", size)[0])
        except TimeoutError:
            self.close()
            return SILENT
        except OSError:
            self.close()
            return CLOSED

    def raw(self, frame: bytes) -> bytes | str:
        """Send bytes as a frame and read what comes back."""
        self._connected().sendall(struct.pack(">i", len(frame)) + frame)
        return self.read()

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._connected().recv(size - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@dataclass
class Entry:
    """Hold one question and its answer, flattened: path to value."""

    label: str
    answer: dict[str, Any]


@dataclass
class Session:
    """Be the conversation of one probe with one broker at one level. Names are the same for both brokers."""

    address: str
    level: str
    nonce: str
    probe: str = ""
    entries: list[Entry] = field(default_factory=list)
    _links: list[Link] = field(default_factory=list)
    _seen: dict[str, str] = field(default_factory=dict)
    ids: dict[str, bytes] = field(default_factory=dict)
    _settled: int = 0

    # --- names and versions ---------------------------------------------------------------------------------

    def name(self, short: str) -> str:
        """Return a name that no other run, probe or level uses."""
        return short + self._ending

    @property
    def _ending(self) -> str:
        return f"-{self.probe}-{self.level}-{self.nonce}"

    def version(self, message: type[Message] | Message) -> int:
        """Return the version of an API at this session's level."""
        api = APIS[message.KEY]
        middle = (api.min_version + api.max_version + 1) // 2
        return {"low": api.min_version, "middle": middle, "high": api.max_version}[self.level]

    def link(self, patience: float = PATIENCE) -> Link:
        """Open another connection."""
        link = Link(self.address, patience)
        self._links.append(link)
        return link

    def close(self) -> None:
        """Close all connections."""
        for link in self._links:
            link.close()

    # --- asking ---------------------------------------------------------------------------------------------

    def ask(
        self, label: str, message: Message, *, version: int | None = None, link: Link | None = None,
        only: Callable[[Any], Any] | None = None, patience: float | None = None,
    ) -> Any:
        """Send a request and write its answer down; `only` picks from the answer what is compared."""
        version = self.version(message) if version is None else version
        answer = self.quiet(message, version=version, link=link, patience=patience)
        self.note(f"{label} (v{version})", only(answer) if only and isinstance(answer, Struct) else answer)
        return answer

    def quiet(
        self, message: Message, *, version: int | None = None, link: Link | None = None, patience: float | None = None
    ) -> Any:
        """Send a request whose answer is not compared."""
        version = self.version(message) if version is None else version
        if patience is not None:
            link = self.link(patience)
        elif link is None:
            link = self._links[0] if self._links else self.link()
        try:
            number = link.begin(message, version)
        except SchemaError:
            return UNFIT
        except OSError:
            link.close()
            return CLOSED
        return link.finish(message, version, number)

    def note(self, label: str, answer: Any) -> None:
        """Write an answer down."""
        flat: dict[str, Any] = {}
        self._flatten("", answer, flat)
        self.entries.append(Entry(f"{self.probe}: {label}".replace(self._ending, ""), flat))

    # --- masking --------------------------------------------------------------------------------------------

    def _flatten(self, path: str, value: Any, out: dict[str, Any]) -> None:
        if isinstance(value, Struct):
            for name in value.__struct_fields__:
                inner = getattr(value, name)
                if name == "topic_id" and inner != ZERO_UUID:
                    self._seen.setdefault(base64.urlsafe_b64encode(inner).decode().rstrip("="), "<topic id>")
                if name == "replica_directory_id":  # Kafka has none when its voters are static
                    inner = "<directory>"
                if name in MASKED and inner not in (-1, 0, None, ZERO_UUID, ""):
                    inner = f"<{name}>"
                self._flatten(f"{path}.{name}".lstrip("."), inner, out)
        elif isinstance(value, list | tuple):
            out[f"{path}.length".lstrip(".")] = len(value)
            named = bool(value) and isinstance(value[0], Struct)
            for i, item in enumerate(sorted(value, key=self._order) if named else value):
                self._flatten(f"{path}[{i}]", item, out)
        elif isinstance(value, memoryview | bytearray):
            out[path] = bytes(value).hex()
        else:
            out[path or "answer"] = self._mask(value) if isinstance(value, str) else value

    def _order(self, item: Struct) -> str:
        return repr([self._mask(str(getattr(item, n))) for n in NAMES if hasattr(item, n)])

    def _mask(self, text: str) -> str:
        """Put numbers in order of appearance in place of what a broker draws at random."""
        for found in _UUID.findall(text):
            self._seen.setdefault(found, f"<uuid {sum(v.startswith('<uuid') for v in self._seen.values()) + 1}>")
        for raw, shown in self._seen.items():
            text = text.replace(raw, shown)
        text = _RANGE.sub("within [<times>]", text)
        return text.replace(self._ending, "").replace(self.address, "<address>")

    # --- set-up ---------------------------------------------------------------------------------------------

    def topic(self, short: str, partitions: int = 1, **configs: str) -> str:
        """Make a topic, wait until it can be used, and return its name. Underscores in keys stand for dots.

        Records are kept for ever: the probes' are old, and Barnabas looks at retention at once.
        """
        name = self.name(short)
        configs = {"retention_ms": "-1", **configs}
        texts = [CreatableTopicConfig(key.replace("_", "."), value) for key, value in configs.items()]
        made = self.quiet(CreateTopicsRequest([CreatableTopic(name, partitions, 1, [], texts)]), version=7)
        assert made.topics[0].error_code == 0, made
        self.wait_for(name, partitions)
        return name

    def wait_for(self, name: str, partitions: int) -> None:
        """Wait until a topic has its partitions, all with a leader, and remember its id."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = self.quiet(MetadataRequest([MetadataRequestTopic(name=name)], False), version=12).topics[0]
            self.ids[name] = found.topic_id
            if len(found.partitions) == partitions and all(p.error_code == 0 for p in found.partitions):
                # the leader may need a moment more until it has the log
                asked = ListOffsetsTopic(name, [ListOffsetsPartition(i, -1, -1) for i in range(partitions)])
                logs = self.quiet(ListOffsetsRequest(-1, 0, [asked]), version=2).topics[0].partitions
                if all(p.error_code == 0 for p in logs):
                    return
            time.sleep(0.02)
        raise TimeoutError(f"{name} never got {partitions} partitions")

    def settle(self) -> None:
        """Wait until the broker's view of the metadata holds all that was changed before.

        Apache Kafka's controller answers first, the broker follows; a topic made now is seen after what came earlier.
        """
        self._settled += 1
        self.topic(f"settled-{self._settled}")

    def fill(self, name: str, *values: bytes, partition: int = 0, timestamp: int = 1_700_000_000_000) -> None:
        """Append one batch of values."""
        batch = build_batch([(b"k", v) for v in values], timestamp)
        done = self.produce(name, batch, partition=partition)
        assert done.responses[0].partition_responses[0].error_code == 0, done

    def produce(self, name: str, records: Any, *, partition: int = 0, acks: int = -1, version: int = 11) -> Any:
        """Send one partition's records and return the answer, not written down."""
        data = [TopicProduceData(name, self.ids.get(name, ZERO_UUID), [PartitionProduceData(partition, records)])]
        return self.quiet(ProduceRequest(None, acks, 10_000, data), version=version)
