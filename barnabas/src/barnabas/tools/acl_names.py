"""Name what access control lists are made of: a name's place is its number in the protocol.

Source: Kafka's AclOperation, AclPermissionType, ResourceType and PatternType.
"""

from __future__ import annotations

from typing import Final

OPERATIONS: Final = (
    "Unknown", "Any", "All", "Read", "Write", "Create", "Delete", "Alter", "Describe", "ClusterAction",
    "DescribeConfigs", "AlterConfigs", "IdempotentWrite", "CreateTokens", "DescribeTokens", "TwoPhaseCommit",
)
"""Operations, as kafka-acls takes them."""
CONSTANTS: Final = (
    "UNKNOWN", "ANY", "ALL", "READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE", "CLUSTER_ACTION",
    "DESCRIBE_CONFIGS", "ALTER_CONFIGS", "IDEMPOTENT_WRITE", "CREATE_TOKENS", "DESCRIBE_TOKENS", "TWO_PHASE_COMMIT",
)
"""The same, as Kafka prints them."""
PERMISSIONS: Final = ("UNKNOWN", "ANY", "DENY", "ALLOW")
TYPES: Final = ("UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER")
"""Types of resources."""
PATTERNS: Final = ("UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED")
"""How a name stands for resources. ANY and MATCH only in questions."""
