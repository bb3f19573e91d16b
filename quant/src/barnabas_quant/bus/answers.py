"""Commands and answers: a command is known by its place on its topic, and the record that answers it names that."""

from __future__ import annotations

from typing import Protocol


class Answer(Protocol):
    """Be the record of what became of a command."""

    @property
    def subject(self) -> str:
        """Give the id of the command, `topic-partition-offset`."""
