"""What the exchange has made, stream by stream, whether or not anybody received it.

For each stream: how many frames, the first and the last id, a checksum that does not depend on the order (the sum
modulo 2^64 of the frames' 64-bit BLAKE2b digests, over the payload without the combined stream's wrapping), and the
ids one by one as long as there is room. Full-speed mode makes frames in blocks and has counts and ids only.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b

import msgspec

_WRAP = 2**64


def digest(payload: bytes) -> int:
    """Fold a payload into an unsigned 64-bit number."""
    return int.from_bytes(blake2b(payload, digest_size=8).digest(), "big")


class Played(msgspec.Struct):
    """Tell what was made of one stream."""

    count: int = 0
    first_id: int | None = None
    """First id of the first frame."""
    last_id: int | None = None
    """Last id of the last frame."""
    checksum: int | None = 0
    """None where frames were made in blocks."""
    ids: list[tuple[int, int]] | None = None
    """First and last id of each frame, where asked for."""
    ids_dropped: int = 0
    """Frames whose ids are not kept."""


class Ledger:
    """Count frames."""

    def __init__(self, kept_ids: int) -> None:
        self._kept = kept_ids
        self._played: dict[str, Played] = {}
        self._ids: dict[str, array[int]] = {}

    def made(self, stream: str, first: int, last: int, payload: bytes) -> None:
        """Count a frame in."""
        played = self._played.get(stream)
        if played is None:
            played = self._played[stream] = Played(first_id=first)
            self._ids[stream] = array("q")
        played.count += 1
        played.last_id = last
        if played.checksum is not None:
            played.checksum = (played.checksum + digest(payload)) % _WRAP
        ids = self._ids[stream]
        if len(ids) < 2 * self._kept:
            ids.append(first)
            ids.append(last)
        else:
            played.ids_dropped += 1

    def made_block(self, stream: str, first: int, count: int) -> None:
        """Count in `count` frames with ids from `first` on, without digests."""
        played = self._played.get(stream)
        if played is None:
            played = self._played[stream] = Played(first_id=first, checksum=None)
            self._ids[stream] = array("q")
        played.count += count
        played.last_id = first + count - 1
        played.ids_dropped += count

    def last_ids(self) -> dict[str, int | None]:
        """Give the last id of every stream: the place where the market is."""
        return {stream: played.last_id for stream, played in self._played.items()}

    def last_id(self, stream: str) -> int | None:
        """Give the last id of a stream, None before its first frame."""
        played = self._played.get(stream)
        return None if played is None else played.last_id

    def report(self, streams: list[str] | None = None, ids: bool = False) -> dict[str, Played]:
        """Tell what was made, of these streams or of all."""
        wanted = self._played if streams is None else {s: self._played[s] for s in streams if s in self._played}
        return {stream: self._with_ids(stream, played, ids) for stream, played in wanted.items()}

    def _with_ids(self, stream: str, played: Played, ids: bool) -> Played:
        if not ids:
            return played
        kept = self._ids[stream]
        pairs = list(zip(kept[::2], kept[1::2], strict=True))
        return msgspec.structs.replace(played, ids=pairs)
