"""Records of the metadata log, `__cluster_metadata`.

Source: Kafka's message definitions of the same names.
"""

from typing import Annotated, ClassVar

from barnabas.protocol.schema import (
    ZERO_UUID,
    Message,
    Struct,
    Tag,
    V,
    binary,
    boolean,
    float64,
    int8,
    int16,
    int32,
    int64,
    string,
    uint16,
    uuid,
)


class AbortTransactionRecord(Message):
    """Hold the record AbortTransactionRecord."""

    KEY: ClassVar[int] = 25
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    reason: Annotated[string | None, Tag(0, "0+")] = None


class AccessControlEntryRecord(Message):
    """Hold the record AccessControlEntryRecord."""

    KEY: ClassVar[int] = 18
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    id: uuid = ZERO_UUID
    resource_type: int8 = 0
    resource_name: string = ""
    pattern_type: int8 = 0
    principal: string = ""
    host: string = ""
    operation: int8 = 0
    permission_type: int8 = 0


class BeginTransactionRecord(Message):
    """Hold the record BeginTransactionRecord."""

    KEY: ClassVar[int] = 23
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    name: Annotated[string | None, Tag(0, "0+")] = None


class BrokerRegistrationChangeRecord(Message):
    """Hold the record BrokerRegistrationChangeRecord."""

    KEY: ClassVar[int] = 17
    VERSIONS: ClassVar[str] = "0-3"
    FLEXIBLE: ClassVar[str] = "0+"

    broker_id: int32 = 0
    broker_epoch: int64 = 0
    fenced: Annotated[int8, Tag(0, "0+")] = 0
    in_controlled_shutdown: Annotated[int8, Tag(1, "1+")] = 0
    log_dirs: Annotated[list[uuid], Tag(2, "2+")] = []
    cordoned_log_dirs: Annotated[list[uuid] | None, Tag(3, "3+")] = None


class ClearElrRecord(Message):
    """Hold the record ClearElrRecord."""

    KEY: ClassVar[int] = 28
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    topic_name: string = ""


class EntityData(Struct):
    entity_type: string = ""
    entity_name: string | None = ""


class ClientQuotaRecord(Message):
    """Hold the record ClientQuotaRecord."""

    KEY: ClassVar[int] = 14
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    entity: list[EntityData] = []
    key: string = ""
    value: float64 = 0.0
    remove: boolean = False


class ConfigRecord(Message):
    """Hold the record ConfigRecord."""

    KEY: ClassVar[int] = 4
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    resource_type: int8 = 0
    resource_name: string = ""
    name: string = ""
    value: string | None = ""


class DelegationTokenRecord(Message):
    """Hold the record DelegationTokenRecord."""

    KEY: ClassVar[int] = 10
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    owner: string = ""
    requester: string = ""
    renewers: list[string] = []
    issue_timestamp: int64 = 0
    max_timestamp: int64 = 0
    expiration_timestamp: int64 = 0
    token_id: string = ""


class EndTransactionRecord(Message):
    """Hold the record EndTransactionRecord."""

    KEY: ClassVar[int] = 24
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"


class FeatureLevelRecord(Message):
    """Hold the record FeatureLevelRecord."""

    KEY: ClassVar[int] = 12
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    name: string = ""
    feature_level: int16 = 0


class FenceBrokerRecord(Message):
    """Hold the record FenceBrokerRecord."""

    KEY: ClassVar[int] = 7
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    id: int32 = 0
    epoch: int64 = 0


class NoOpRecord(Message):
    """Hold the record NoOpRecord."""

    KEY: ClassVar[int] = 20
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"


class PartitionChangeRecord(Message):
    """Hold the record PartitionChangeRecord."""

    KEY: ClassVar[int] = 5
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "0+"

    partition_id: int32 = -1
    topic_id: uuid = ZERO_UUID
    isr: Annotated[list[int32] | None, Tag(0, "0+")] = None
    leader: Annotated[int32, Tag(1, "0+")] = -2
    replicas: Annotated[list[int32] | None, Tag(2, "0+")] = None
    removing_replicas: Annotated[list[int32] | None, Tag(3, "0+")] = None
    adding_replicas: Annotated[list[int32] | None, Tag(4, "0+")] = None
    leader_recovery_state: Annotated[int8, Tag(5, "0+")] = -1
    directories: Annotated[list[uuid] | None, Tag(8, "1+")] = None
    eligible_leader_replicas: Annotated[list[int32] | None, Tag(6, "2+")] = None
    last_known_elr: Annotated[list[int32] | None, Tag(7, "2+")] = None


class PartitionRecord(Message):
    """Hold the record PartitionRecord."""

    KEY: ClassVar[int] = 3
    VERSIONS: ClassVar[str] = "0-2"
    FLEXIBLE: ClassVar[str] = "0+"

    partition_id: int32 = -1
    topic_id: uuid = ZERO_UUID
    replicas: list[int32] = []
    isr: list[int32] = []
    removing_replicas: list[int32] = []
    adding_replicas: list[int32] = []
    leader: int32 = -1
    leader_recovery_state: Annotated[int8, Tag(0, "0+")] = 0
    leader_epoch: int32 = -1
    partition_epoch: int32 = -1
    directories: Annotated[list[uuid], V("1+")] = []
    eligible_leader_replicas: Annotated[list[int32] | None, Tag(1, "2+")] = None
    last_known_elr: Annotated[list[int32] | None, Tag(2, "2+")] = None


class ProducerIdsRecord(Message):
    """Hold the record ProducerIdsRecord."""

    KEY: ClassVar[int] = 15
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    broker_id: int32 = 0
    broker_epoch: int64 = -1
    next_producer_id: int64 = 0


class BrokerEndpoint(Struct):
    name: string = ""
    host: string = ""
    port: uint16 = 0
    security_protocol: int16 = 0


class BrokerFeature(Struct):
    name: string = ""
    min_supported_version: int16 = 0
    max_supported_version: int16 = 0


class RegisterBrokerRecord(Message):
    """Hold the record RegisterBrokerRecord."""

    KEY: ClassVar[int] = 0
    VERSIONS: ClassVar[str] = "0-4"
    FLEXIBLE: ClassVar[str] = "0+"

    broker_id: int32 = 0
    is_migrating_zk_broker: Annotated[boolean, V("2+")] = False
    incarnation_id: uuid = ZERO_UUID
    broker_epoch: int64 = 0
    end_points: list[BrokerEndpoint] = []
    features: list[BrokerFeature] = []
    rack: string | None = ""
    fenced: boolean = True
    in_controlled_shutdown: Annotated[boolean, V("1+")] = False
    log_dirs: Annotated[list[uuid], Tag(0, "3+")] = []
    cordoned_log_dirs: Annotated[list[uuid] | None, Tag(1, "4+")] = None


class ControllerEndpoint(Struct):
    name: string = ""
    host: string = ""
    port: uint16 = 0
    security_protocol: int16 = 0


class ControllerFeature(Struct):
    name: string = ""
    min_supported_version: int16 = 0
    max_supported_version: int16 = 0


class RegisterControllerRecord(Message):
    """Hold the record RegisterControllerRecord."""

    KEY: ClassVar[int] = 27
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    controller_id: int32 = 0
    incarnation_id: uuid = ZERO_UUID
    zk_migration_ready: boolean = False
    end_points: list[ControllerEndpoint] = []
    features: list[ControllerFeature] = []


class RemoveAccessControlEntryRecord(Message):
    """Hold the record RemoveAccessControlEntryRecord."""

    KEY: ClassVar[int] = 19
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    id: uuid = ZERO_UUID


class RemoveDelegationTokenRecord(Message):
    """Hold the record RemoveDelegationTokenRecord."""

    KEY: ClassVar[int] = 26
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    token_id: string = ""


class RemoveTopicRecord(Message):
    """Hold the record RemoveTopicRecord."""

    KEY: ClassVar[int] = 9
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    topic_id: uuid = ZERO_UUID


class RemoveUserScramCredentialRecord(Message):
    """Hold the record RemoveUserScramCredentialRecord."""

    KEY: ClassVar[int] = 22
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    name: string = ""
    mechanism: int8 = 0


class TopicRecord(Message):
    """Hold the record TopicRecord."""

    KEY: ClassVar[int] = 2
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    name: string = ""
    topic_id: uuid = ZERO_UUID


class UnfenceBrokerRecord(Message):
    """Hold the record UnfenceBrokerRecord."""

    KEY: ClassVar[int] = 8
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    id: int32 = 0
    epoch: int64 = 0


class UnregisterBrokerRecord(Message):
    """Hold the record UnregisterBrokerRecord."""

    KEY: ClassVar[int] = 1
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    broker_id: int32 = 0
    broker_epoch: int64 = 0


class UserScramCredentialRecord(Message):
    """Hold the record UserScramCredentialRecord."""

    KEY: ClassVar[int] = 11
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    name: string = ""
    mechanism: int8 = 0
    salt: binary = b""
    stored_key: binary = b""
    server_key: binary = b""
    iterations: int32 = 0


class ZkMigrationStateRecord(Message):
    """Hold the record ZkMigrationStateRecord."""

    KEY: ClassVar[int] = 21
    VERSIONS: ClassVar[str] = "0"
    FLEXIBLE: ClassVar[str] = "0+"

    zk_migration_state: int8 = 0
