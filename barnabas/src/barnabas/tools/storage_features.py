"""Know which features Apache Kafka 4.3 has, at which levels, and what each release sets them to."""

from __future__ import annotations

from typing import Final

from barnabas.tools.errors import ToolError

#: the levels of metadata.version; the last one is not stable yet
METADATA_VERSIONS: Final = dict(zip(
    (
        "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2", "3.7-IV0", "3.7-IV1",
        "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0", "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0",
        "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0", "4.4-IV0",
    ),
    range(7, 32), strict=True,
))
LATEST: Final = "4.3-IV0"
UNSTABLE: Final = "4.4-IV0"
METADATA_VERSION: Final = "metadata.version"
KRAFT_VERSION: Final = "kraft.version"
#: the others in Kafka's order: for each level from 1 on, since which metadata.version a release has it as its default
FEATURES: Final[dict[str, tuple[int, ...]]] = {
    KRAFT_VERSION: (21,),
    "transaction.version": (24, 24),
    "group.version": (22,),
    "eligible.leader.replicas.version": (26,),
    "share.version": (28,),
    "streams.version": (29,),
}
#: (feature, level): what it needs
DEPENDENCIES: Final[dict[tuple[str, int], dict[str, int]]] = {
    ("eligible.leader.replicas.version", 1): {METADATA_VERSION: 23},
}


def default_level(feature: str, metadata_version: int) -> int:
    """Return the level that a feature has by default under a level of metadata.version."""
    return sum(since <= metadata_version for since in FEATURES[feature])


def metadata_version(text: str, *, stable: bool = False) -> tuple[str, int]:
    """Read a release, `4.3` or `4.3.1`, or a version, `4.3-IV0`: its name and its level. Raises `ToolError`.

    As in Kafka, what follows a second dot does not count, whatever it is.
    """
    known = [name for name in METADATA_VERSIONS if not (stable and name == UNSTABLE)]
    parts = text.rstrip(".").split(".")
    asked = ".".join(parts[:2]) if len(parts) > 2 else text
    if asked in known:
        return asked, METADATA_VERSIONS[asked]
    of_release = [name for name in known if name.partition("-")[0] == asked and name != UNSTABLE]
    if not of_release:
        raise ToolError(
            f"Unknown metadata.version '{text}'. Supported metadata.version are: {', '.join(known)}"
        )
    return of_release[-1], METADATA_VERSIONS[of_release[-1]]


def version_name(level: int) -> str | None:
    """Return the name of a level of metadata.version."""
    return next((name for name, number in METADATA_VERSIONS.items() if number == level), None)
