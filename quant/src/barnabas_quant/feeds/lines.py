"""Lines of a text file, plain or gzipped, in bounded memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from barnabas_quant.errors import FrameError, QuantError


def read_lines(path: Path, longest: int) -> Iterator[bytes]:
    """Give the file's lines without their ends; of one beyond `longest` bytes its first `longest` + 1.

    Raises FrameError where a gzip stream breaks off or is damaged, QuantError where the file cannot be read.
    """
    try:
        with path.open("rb") as raw:
            magic = raw.read(2)
            raw.seek(0)
            file = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if magic == b"\x1f\x8b" else raw
            while line := file.readline(longest + 1):
                end = line
                while len(end) > longest and not end.endswith(b"\n"):  # keep the start, pass over the rest
                    end = file.readline(longest + 1)
                yield line.rstrip(b"\r\n")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FrameError(f"the compressed file is damaged here: {error}") from error
    except OSError as error:
        raise QuantError(f"cannot read {path}: {error.strerror}") from error
