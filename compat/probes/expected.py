"""List where Barnabas means to answer otherwise than Apache Kafka; `docs/deviations.md` says why."""

from __future__ import annotations

import re
from typing import NamedTuple


class Expected(NamedTuple):
    """Describe one meant difference: of whose questions and fields (regular expressions), and between which answers."""

    what: str
    question: str = ""
    path: str = ""
    kafka: str = ""
    barnabas: str = ""

    def covers(self, question: str, path: str, kafka: str, barnabas: str) -> bool:
        """Tell whether a difference is of this kind."""
        pairs = ((self.question, question), (self.path, path), (self.kafka, kafka), (self.barnabas, barnabas))
        return all(re.search(pattern, text) for pattern, text in pairs)


EXPECTED: tuple[Expected, ...] = (
    Expected("a reason where Kafka gives none", path="error_message$", kafka="^(None)?$", barnabas="^(?!None$)."),
    Expected("null instead of an empty message", path="error_message$", kafka="^$", barnabas="^None$"),
    Expected("documentation in words of our own", path="documentation$"),
    Expected("no log start offset with a refusal", "produce:|sequence", "log_start_offset$", "^0$", "^-1$"),
    Expected("no eligible leader replicas: min.insync.replicas is no dynamic default", "create, ", r"configs\[21\]"),
    Expected("no eligible leader replicas: min.insync.replicas is no dynamic default", "configs, (topic|no key)", "21"),
    Expected("no eligible leader replicas: min.insync.replicas is no dynamic default", "configs, default broker"),
    Expected("features that are not there yet", "versions, features"),
    Expected("names that collide in one request", "create, colliding in one request"),
    Expected("the order of several mistakes", "create, two unknown configs", "error_message$"),
    Expected("an auto-created topic is there before the answer", r"metadata, (unknown|good and bad) \(v[09]\)"),
    Expected("an empty name is an invalid one", "describe, empty name", "error_code|operations"),
    Expected("metadata.version begins at 25 (Kafka 4.0)", "features, too (high|low)", "error_message$"),
    Expected("an unknown operation is refused by name", "change, (unknown|negative) operation", "error_code$"),
    Expected("share groups are not there yet", "share key"),
    Expected("a batch's inside is not read", "produce, (both larger|.* that is none|a record longer)"),
    Expected("nothing may follow a batch", "produce, (trailing bytes|length)"),
    Expected("an unknown codec has an error of its own", "produce, unknown compression", "error_code$", "-1", "76"),
    Expected("transactions are not there yet", "produce, transactional batch", "error_code$"),
    Expected("a partition named twice is written twice", "produce, a partition twice"),
    Expected("the partition's name in a reason", "compacted topic", "error_message$"),
    Expected("no append time of a repeated batch", "sequence, ", "log_append_time_ms$", r"\d{13}", "-1"),
    Expected("a negative epoch is malformed", "sequence, negative epoch", "error_code$", "47", "87"),
    Expected("an unknown isolation level reads uncommitted", "(fetch|list), isolation 7"),
    Expected("the largest timestamp is one that can still be read", "when all is cut, largest"),
    Expected("a negative size is 0", "fetch, negative sizes"),
    Expected("replicas are served as clients are", "fetch, as an? (unknown )?replica"),
)
