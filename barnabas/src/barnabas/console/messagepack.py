"""Count the values of MessagePack before it is decoded: each of one byte may take a hundred in memory."""

from __future__ import annotations

from typing import Final

#: by the first byte from 0xc4 on: bytes of the length after it, bytes that follow beside those of the length, and how
#: many values come for each of the length; a length of no bytes is 0. Source: MessagePack's specification
_MSGPACK: Final = (
    *((size, 0, 0) for size in (1, 2, 4)), *((size, 1, 0) for size in (1, 2, 4)),  # bin, ext
    *((0, size, 0) for size in (4, 8, 1, 2, 4, 8, 1, 2, 4, 8)),  # float, uint, int
    *((0, size, 0) for size in (2, 3, 5, 9, 17)),  # fixext
    *((size, 0, 0) for size in (1, 2, 4)),  # str
    (2, 0, 1), (4, 0, 1), (2, 0, 2), (4, 0, 2),  # array, map
)


def is_bounded(raw: bytes, most: int) -> bool:
    """Tell whether MessagePack has no more than so many values; what is broken is left to the decoder."""
    at, size = 0, len(raw)
    coming = 1
    for _ in range(most):
        if at >= size or not coming:
            return True
        first = raw[at]
        at += 1
        coming -= 1
        if first < 0x80 or first >= 0xE0 or 0xC0 <= first < 0xC4:  # small numbers, nil, false, true
            continue
        if first < 0xC0:
            if first < 0xA0:
                coming += (first & 0x0F) * (2 if first < 0x90 else 1)
            else:
                at += first & 0x1F
            continue
        length, more, values = _MSGPACK[first - 0xC4]
        count = int.from_bytes(raw[at : at + length], "big")
        at += length + more
        if values:
            coming += count * values
        else:
            at += count
    return not coming
