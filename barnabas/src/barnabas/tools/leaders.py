"""Ask the leaders of partitions, each for its own, and ask again where Kafka's clients would.

Kafka's clients repeat a question that met a retriable error (a leader that moved, a topic that is not there yet) for a
minute; here a few seconds have to do, because a tool's user sits in front of it. Errors stand in the answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from barnabas.protocol.errors import ErrorCode
from barnabas.tools.cluster import PATIENCE, Cluster, group_by
from barnabas.tools.errors import AnswerError
from barnabas.tools.terminal import Waiting

TopicPartition = tuple[str, int]
_BACKOFF: Final = 0.1

T = TypeVar("T")


def ask_leaders(
    cluster: Cluster,
    partitions: Iterable[TopicPartition],
    ask: Callable[[int, list[TopicPartition]], dict[TopicPartition, T | AnswerError]],
    *,
    seconds: float = PATIENCE,
) -> dict[TopicPartition, T | AnswerError]:
    """Call `ask` with a node and the partitions that it leads, until all have an answer; return the answers."""
    wanted = list(dict.fromkeys(partitions))
    waiting = wanted
    found: dict[TopicPartition, T | AnswerError] = {}
    deadline = time.monotonic() + seconds
    told = Waiting("Trying again", quiet=cluster.quiet)
    while waiting:
        known = cluster.leaders(waiting, seconds=seconds)
        leaders: dict[TopicPartition, int] = {}
        for partition in waiting:
            leader = known.get(partition, AnswerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
            if isinstance(leader, AnswerError):
                found[partition] = leader
            else:
                leaders[partition] = leader
        for node, those in group_by(leaders, leaders.__getitem__).items():
            answers = ask(node, those)
            for partition in those:
                found[partition] = answers.get(partition, AnswerError(ErrorCode.UNKNOWN_SERVER_ERROR))
        waiting = [p for p in waiting if isinstance(answer := found[p], AnswerError) and answer.retriable]
        if time.monotonic() + _BACKOFF > deadline:
            break
        if waiting:
            told.tick(f"{len(waiting)} partitions")
            time.sleep(_BACKOFF)
    told.over()
    return {partition: found[partition] for partition in wanted}


def name_of(partition: TopicPartition) -> str:
    """Write a partition as Kafka does."""
    return f"{partition[0]}-{partition[1]}"
