"""Hold the authorized-operations fields of describe answers: without an authorizer, all that a resource knows.

Bits are the codes of Kafka's AclOperation: READ 3, WRITE 4, CREATE 5, DELETE 6, ALTER 7, DESCRIBE 8, CLUSTER_ACTION 9,
DESCRIBE_CONFIGS 10, ALTER_CONFIGS 11, IDEMPOTENT_WRITE 12.
"""

from __future__ import annotations

from typing import Final


def _bits(*codes: int) -> int:
    return sum(1 << code for code in codes)


NOT_ASKED: Final = -(2**31)
TOPIC_OPERATIONS: Final = _bits(3, 4, 5, 6, 7, 8, 10, 11)
GROUP_OPERATIONS: Final = _bits(3, 6, 8, 10, 11)
CLUSTER_OPERATIONS: Final = _bits(5, 7, 8, 9, 10, 11, 12)
