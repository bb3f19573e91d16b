"""Read and write Kafka's checkpoint files: offsets by partition, and leader epochs of one partition.

Both are text: a version, a count, then one line an entry. Kafka refuses to start on a malformed one, so they are
always replaced whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from barnabas.log.files import read_text, replace_file
from barnabas.protocol.errors import BarnabasError

RECOVERY_POINT = "recovery-point-offset-checkpoint"
REPLICATION = "replication-offset-checkpoint"
LOG_START = "log-start-offset-checkpoint"
CLEANER = "cleaner-offset-checkpoint"
LEADER_EPOCHS = "leader-epoch-checkpoint"


class CheckpointError(BarnabasError):
    """A checkpoint file does not follow its format."""


def _lines(path: Path) -> list[str] | None:
    try:
        text = read_text(path)
    except UnicodeDecodeError as e:
        raise CheckpointError(f"{path} is not text: {e}") from e
    if not text:  # Kafka makes an empty file first, and takes it for one without entries
        return None
    lines = text.splitlines()
    try:
        version, count = int(lines[0]), int(lines[1])
    except (IndexError, ValueError) as e:
        raise CheckpointError(f"{path} does not begin with a version and a count") from e
    if not text.endswith("\n"):
        raise CheckpointError(f"{path} is cut off")
    if version != 0 or count != len(lines) - 2:
        raise CheckpointError(f"{path}: version {version}, {count} entries said, {len(lines) - 2} there")
    return lines[2:]


def _offset(text: str) -> int:
    offset = int(text)
    if not 0 <= offset < 1 << 63:
        raise ValueError(f"{offset} is no offset")
    return offset


def _write(path: Path, entries: Iterable[str], *, sync: bool) -> None:
    lines = list(entries)
    replace_file(path, "\n".join(["0", str(len(lines)), *lines]) + "\n", sync=sync)


def read_offsets(path: Path) -> dict[tuple[str, int], int]:
    """Read offsets by (topic, partition); an absent file is empty. Raises `CheckpointError`."""
    offsets = {}
    for line in _lines(path) or []:
        try:
            topic, partition, offset = line.split(" ")
            offsets[topic, int(partition)] = _offset(offset)
        except ValueError as e:
            raise CheckpointError(f"{path}: malformed line {line!r}") from e
    return offsets


def write_offsets(path: Path, offsets: Mapping[tuple[str, int], int]) -> None:
    """Replace a file of offsets by partition."""
    _write(path, (f"{topic} {partition} {offset}" for (topic, partition), offset in offsets.items()), sync=True)


def read_epochs(path: Path) -> list[tuple[int, int]]:
    """Read (leader epoch, first offset) pairs, rising; an absent file is empty. Raises `CheckpointError`."""
    epochs = []
    for line in _lines(path) or []:
        try:
            epoch, offset = line.split(" ")
            epochs.append((int(epoch), _offset(offset)))
        except ValueError as e:
            raise CheckpointError(f"{path}: malformed line {line!r}") from e
    if any(a[0] >= b[0] or a[1] > b[1] for a, b in pairwise(epochs)):
        raise CheckpointError(f"{path}: the epochs do not rise")
    return epochs


def write_epochs(path: Path, epochs: Iterable[tuple[int, int]]) -> None:
    """Replace a partition's leader epochs. Not synced: a lost one is rebuilt from the batches."""
    _write(path, (f"{epoch} {offset}" for epoch, offset in epochs), sync=False)
