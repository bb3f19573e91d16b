"""List the scripts of Kafka's bin folder: what each is for, the module that does it, the Java classes that it replaces.

A module without a name does not exist yet; the script says so and ends with status 2.
"""

from __future__ import annotations

from typing import NamedTuple


class Script(NamedTuple):
    """Describe one script. `classes` are the names under which `kafka-run-class` knows it, today's first."""

    module: str | None
    summary: str
    classes: tuple[str, ...] = ()


SCRIPTS: dict[str, Script] = {
    "kafka-topics": Script(
        "topics", "create, delete, describe, or change a topic",
        ("org.apache.kafka.tools.TopicCommand", "kafka.admin.TopicCommand"),
    ),
}


def script_of(name: str) -> str | None:
    """Return the script that a command names: `kafka-topics.sh`, `kafka-topics` and `topics` are the same."""
    plain = name.removesuffix(".exe").removesuffix(".sh").removesuffix(".bat")
    for candidate in (plain, f"kafka-{plain}"):
        if candidate in SCRIPTS:
            return candidate
    return None
