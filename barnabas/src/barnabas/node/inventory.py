"""Count what the coordinators' topics hold, from their files: names that have a record which was not deleted."""

from __future__ import annotations

import struct
from pathlib import Path

from barnabas.protocol.batch import batches, read_records


def live_names(path: Path, topic: str) -> set[str]:
    """Return the groups or transactional ids that an internal topic holds.

    All keys of these topics begin with their kind and then the name, whatever the kind. Raises `KafkaError`, `OSError`.
    """
    live: dict[bytes, str] = {}
    for folder in path.glob(f"{topic}-*"):
        for segment in sorted(p for p in folder.glob("*.log") if p.stem.isdecimal()):
            data = segment.read_bytes()
            for header, at in batches(data):
                if header.is_control:
                    continue
                for record in read_records(header, data[at : at + header.size]):
                    key = record.key or b""
                    if len(key) < 4:
                        continue
                    if record.value is None:
                        live.pop(key, None)
                    else:
                        (size,) = struct.unpack_from(">h", key, 2)
                        live[key] = key[4 : 4 + size].decode(errors="replace")
    return set(live.values())
