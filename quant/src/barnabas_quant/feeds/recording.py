"""Writing captures: simulated minutes as a file that `Capture` reads back."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, cast

from barnabas_quant.model import Frame


def write_capture(path: Path, frames: Iterable[Frame]) -> int:
    """Write frames as a capture, gzipped where the name ends in .gz; answer how many. Raises OSError."""
    count = 0
    with cast(BinaryIO, gzip.open(path, "wb", 6)) if path.suffix == ".gz" else path.open("wb") as file:
        for frame in frames:
            file.write(line_of(frame))
            count += 1
    return count


def line_of(frame: Frame) -> bytes:
    """Write a frame as a line; an answer of the REST interface as one that names its symbol."""
    if frame.symbol is None:
        return b"%d %s\n" % (frame.received, frame.text)
    seconds, nanoseconds = divmod(frame.received, 10**9)
    request = f"/api/v3/depth?symbol={frame.symbol}&limit=1000"
    return f"{request} -> {seconds}.{nanoseconds:09d}: ".encode() + frame.text + b"\n"
