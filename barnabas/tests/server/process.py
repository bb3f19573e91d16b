"""Run a broker as a process of its own, and look at it from outside: its log, its memory, whether it serves."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from barnabas.protocol.batch import build_batch
from barnabas.protocol.messages.api_versions import ApiVersionsRequest
from barnabas.protocol.messages.create_topics import CreatableTopic, CreatableTopicResult, CreateTopicsRequest
from barnabas.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from barnabas.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData

from ..wire import Wire

_LISTENING = re.compile(r"listening on PLAINTEXT://([^ ,]+):(\d+)")
_START_S = 30.0
#: what the log may never hold, whatever a client sends
_DEFECTS = re.compile(r"Traceback|internal error|\bERROR\b|Exception|A timer failed")


class BrokerProcess:
    """Be a broker with these keys of server.properties, on a free port, with its log in a file."""

    def __init__(self, folder: Path, **properties: str) -> None:
        self.log = folder / "broker.log"
        keys = {
            "socket.listen.backlog.size": "1024", "offsets.topic.num.partitions": "2",
            "group.initial.rebalance.delay.ms": "0", **{k.replace("_", "."): v for k, v in properties.items()},
        }
        command = [
            sys.executable, "-m", "barnabas", "serve", "--data", str(folder / "data"), "--listen", "127.0.0.1:0"
        ]
        for key, value in keys.items():
            command += ["--override", f"{key}={value}"]
        with self.log.open("wb") as out:
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            self.bootstrap = self._address()
        except BaseException:
            self.stop()
            raise

    def _address(self) -> str:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._child.poll() is None:
            found = _LISTENING.search(self.log.read_text(errors="replace"))
            if found is not None:
                return f"{found[1]}:{found[2]}"
            time.sleep(0.02)
        raise AssertionError(self.log.read_text(errors="replace"))

    def wire(self, timeout: float = 10.0) -> Wire:
        """Connect to the broker."""
        return Wire.to(self.bootstrap, timeout=timeout)

    def create(self, name: str, partitions: int = 1) -> bytes:
        """Create a topic; return its id."""
        with self.wire() as wire:
            created: CreatableTopicResult = wire.request(
                CreateTopicsRequest([CreatableTopic(name, partitions, 1)], 1000), 7
            ).topics[0]
        assert created.error_code == 0
        return created.topic_id

    def memory(self) -> int:
        """Return the resident memory in bytes."""
        status = Path(f"/proc/{self._child.pid}/status")
        if status.exists():  # an empty Debian has no ps
            return int(re.findall(r"VmRSS:\s+(\d+) kB", status.read_text())[0]) * 1024
        shown = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self._child.pid)], check=True, capture_output=True, text=True
        )
        return int(shown.stdout) * 1024

    def defects(self) -> list[str]:
        """Return the lines of the log that tell of a defect, with what stands around the first of them."""
        lines = self.log.read_text(errors="replace").splitlines()
        found = [i for i, line in enumerate(lines) if _DEFECTS.search(line)]
        return lines[max(0, found[0] - 2) : found[0] + 30] if found else []

    def check(self, patience: float = 15.0) -> None:
        """Let a normal client create a topic, write to it and read it back; look into the log."""
        began = time.monotonic()
        name = f"normal-{time.monotonic_ns()}"
        batch = bytes(build_batch([(b"key", name.encode())], time.time_ns() // 1_000_000))
        with self.wire(patience) as wire:
            assert wire.request(ApiVersionsRequest("test", "1"), 3).error_code == 0
            created = wire.request(CreateTopicsRequest([CreatableTopic(name, 1, 1)], 1000), 7)
            assert created.topics[0].error_code == 0
            data = [TopicProduceData(name, partition_data=[PartitionProduceData(0, batch)])]
            written = wire.request(ProduceRequest(None, -1, 1000, data), 9).responses[0].partition_responses[0]
            assert (written.error_code, written.base_offset) == (0, 0)
            asked = [FetchTopic(name, partitions=[FetchPartition(0, partition_max_bytes=1 << 20)])]
            read = wire.request(FetchRequest(max_wait_ms=0, topics=asked), 12).responses[0].partitions[0]
            assert bytes(read.records)[61:] == batch[61:]
        assert time.monotonic() - began < patience
        assert self._child.poll() is None
        assert not self.defects(), "\n".join(self.defects())

    def stop(self) -> int:
        """End the broker by SIGTERM; return its exit code."""
        self._child.terminate()
        try:
            return self._child.wait(20)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
