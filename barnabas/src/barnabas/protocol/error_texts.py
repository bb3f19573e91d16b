"""Say what each error code means when a broker sends no words of its own, and whether asking again may help.

Source of texts and marks: Apache Kafka 4.3, `org.apache.kafka.common.protocol.Errors` and its exceptions.
"""

from __future__ import annotations

from typing import Final

from barnabas.protocol.errors import ErrorCode

#: code: the name of Kafka's exception, whether it is retriable, the text
_ERRORS: Final[dict[int, tuple[str, bool, str]]] = {
    -1: ("UnknownServerException", False, "The server experienced an unexpected error when processing the request."),
    1: (
        "OffsetOutOfRangeException", False,
        "The requested offset is not within the range of offsets maintained by the server.",
    ),
    2: (
        "CorruptRecordException", True,
        "This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted "
        "topic, or is otherwise corrupt.",
    ),
    3: ("UnknownTopicOrPartitionException", True, "This server does not host this topic-partition."),
    4: ("InvalidFetchSizeException", False, "The requested fetch size is invalid."),
    5: (
        "LeaderNotAvailableException", True,
        "There is no leader for this topic-partition as we are in the middle of a leadership election.",
    ),
    6: (
        "NotLeaderOrFollowerException", True,
        "For requests intended only for the leader, this error indicates that the broker is not the current "
        "leader. For requests intended for any replica, this error indicates that the broker is not a "
        "replica of the topic partition.",
    ),
    7: ("TimeoutException", True, "The request timed out."),
    8: ("BrokerNotAvailableException", False, "The broker is not available."),
    9: (
        "ReplicaNotAvailableException", True,
        "The replica is not available for the requested topic-partition. Produce/Fetch requests and other "
        "requests intended only for the leader or follower return NOT_LEADER_OR_FOLLOWER if the broker is "
        "not a replica of the topic-partition.",
    ),
    10: (
        "RecordTooLargeException", False,
        "The request included a message larger than the max message size the server will accept.",
    ),
    11: ("ControllerMovedException", False, "The controller moved to another broker."),
    12: ("OffsetMetadataTooLarge", False, "The metadata field of the offset request was too large."),
    13: ("NetworkException", True, "The server disconnected before a response was received."),
    14: ("CoordinatorLoadInProgressException", True, "The coordinator is loading and hence can't process requests."),
    15: ("CoordinatorNotAvailableException", True, "The coordinator is not available."),
    16: ("NotCoordinatorException", True, "This is not the correct coordinator."),
    17: ("InvalidTopicException", False, "The request attempted to perform an operation on an invalid topic."),
    18: (
        "RecordBatchTooLargeException", False,
        "The request included message batch larger than the configured segment size on the server.",
    ),
    19: (
        "NotEnoughReplicasException", True,
        "Messages are rejected since there are fewer in-sync replicas than required.",
    ),
    20: (
        "NotEnoughReplicasAfterAppendException", True,
        "Messages are written to the log, but to fewer in-sync replicas than required.",
    ),
    21: ("InvalidRequiredAcksException", False, "Produce request specified an invalid value for required acks."),
    22: ("IllegalGenerationException", False, "Specified group generation id is not valid."),
    23: (
        "InconsistentGroupProtocolException", False,
        "The group member's supported protocols are incompatible with those of existing members or first "
        "group member tried to join with empty protocol type or empty protocol list.",
    ),
    24: ("InvalidGroupIdException", False, "The group id is invalid."),
    25: ("UnknownMemberIdException", False, "The coordinator is not aware of this member."),
    26: (
        "InvalidSessionTimeoutException", False,
        "The session timeout is not within the range allowed by the broker (as configured by "
        "group.min.session.timeout.ms and group.max.session.timeout.ms).",
    ),
    27: ("RebalanceInProgressException", False, "The group is rebalancing, so a rejoin is needed."),
    28: ("InvalidCommitOffsetSizeException", False, "The committing offset data size is not valid."),
    29: ("TopicAuthorizationException", False, "Topic authorization failed."),
    30: ("GroupAuthorizationException", False, "Group authorization failed."),
    31: ("ClusterAuthorizationException", False, "Cluster authorization failed."),
    32: ("InvalidTimestampException", False, "The timestamp of the message is out of acceptable range."),
    33: ("UnsupportedSaslMechanismException", False, "The broker does not support the requested SASL mechanism."),
    34: ("IllegalSaslStateException", False, "Request is not valid given the current SASL state."),
    35: ("UnsupportedVersionException", False, "The version of API is not supported."),
    36: ("TopicExistsException", False, "Topic with this name already exists."),
    37: ("InvalidPartitionsException", False, "Number of partitions is below 1."),
    38: (
        "InvalidReplicationFactorException", False,
        "Replication factor is below 1 or larger than the number of available brokers.",
    ),
    39: ("InvalidReplicaAssignmentException", False, "Replica assignment is invalid."),
    40: ("InvalidConfigurationException", False, "Configuration is invalid."),
    41: ("NotControllerException", True, "This is not the correct controller for this cluster."),
    42: (
        "InvalidRequestException", False,
        "This most likely occurs because of a request being malformed by the client library or the message "
        "was sent to an incompatible broker. See the broker logs for more details.",
    ),
    43: (
        "UnsupportedForMessageFormatException", False,
        "The message format version on the broker does not support the request.",
    ),
    44: ("PolicyViolationException", False, "Request parameters do not satisfy the configured policy."),
    45: ("OutOfOrderSequenceException", False, "The broker received an out of order sequence number."),
    46: ("DuplicateSequenceException", False, "The broker received a duplicate sequence number."),
    47: ("InvalidProducerEpochException", False, "Producer attempted to produce with an old epoch."),
    48: ("InvalidTxnStateException", False, "The producer attempted a transactional operation in an invalid state."),
    49: (
        "InvalidPidMappingException", False,
        "The producer attempted to use a producer id which is not currently assigned to its transactional "
        "id.",
    ),
    50: (
        "InvalidTxnTimeoutException", False,
        "The transaction timeout is larger than the maximum value allowed by the broker (as configured by "
        "transaction.max.timeout.ms).",
    ),
    51: (
        "ConcurrentTransactionsException", True,
        "The producer attempted to update a transaction while another concurrent operation on the same "
        "transaction was ongoing.",
    ),
    52: (
        "TransactionCoordinatorFencedException", False,
        "Indicates that the transaction coordinator sending a WriteTxnMarker is no longer the current "
        "coordinator for a given producer.",
    ),
    53: ("TransactionalIdAuthorizationException", False, "Transactional Id authorization failed."),
    54: ("SecurityDisabledException", False, "Security features are disabled."),
    55: (
        "OperationNotAttemptedException", False,
        "The broker did not attempt to execute this operation. This may happen for batched RPCs where some "
        "operations in the batch failed, causing the broker to respond without trying the rest.",
    ),
    56: ("KafkaStorageException", True, "Disk error when trying to access log file on the disk."),
    57: ("LogDirNotFoundException", False, "The user-specified log directory is not found in the broker config."),
    58: ("SaslAuthenticationException", False, "SASL Authentication failed."),
    59: (
        "UnknownProducerIdException", False,
        "This exception is raised by the broker if it could not locate the producer metadata associated with "
        "the producerId in question. This could happen if, for instance, the producer's records were deleted "
        "because their retention time had elapsed. Once the last records of the producerId are removed, the "
        "producer's metadata is removed from the broker, and future appends by the producer will return this "
        "exception.",
    ),
    60: ("ReassignmentInProgressException", False, "A partition reassignment is in progress."),
    61: ("DelegationTokenDisabledException", False, "Delegation Token feature is not enabled."),
    62: ("DelegationTokenNotFoundException", False, "Delegation Token is not found on server."),
    63: ("DelegationTokenOwnerMismatchException", False, "Specified Principal is not valid Owner/Renewer."),
    64: (
        "UnsupportedByAuthenticationException", False,
        "Delegation Token requests are not allowed on PLAINTEXT/1-way SSL channels and on delegation token "
        "authenticated channels.",
    ),
    65: ("DelegationTokenAuthorizationException", False, "Delegation Token authorization failed."),
    66: ("DelegationTokenExpiredException", False, "Delegation Token is expired."),
    67: ("InvalidPrincipalTypeException", False, "Supplied principalType is not supported."),
    68: ("GroupNotEmptyException", False, "The group is not empty."),
    69: ("GroupIdNotFoundException", False, "The group id does not exist."),
    70: ("FetchSessionIdNotFoundException", True, "The fetch session ID was not found."),
    71: ("InvalidFetchSessionEpochException", True, "The fetch session epoch is invalid."),
    72: (
        "ListenerNotFoundException", True,
        "There is no listener on the leader broker that matches the listener on which metadata request was "
        "processed.",
    ),
    73: ("TopicDeletionDisabledException", False, "Topic deletion is disabled."),
    74: ("FencedLeaderEpochException", True, "The leader epoch in the request is older than the epoch on the broker."),
    75: ("UnknownLeaderEpochException", True, "The leader epoch in the request is newer than the epoch on the broker."),
    76: (
        "UnsupportedCompressionTypeException", False,
        "The requesting client does not support the compression type of given partition.",
    ),
    77: ("StaleBrokerEpochException", False, "Broker epoch has changed."),
    78: (
        "OffsetNotAvailableException", True,
        "The leader high watermark has not caught up from a recent leader election so the offsets cannot be "
        "guaranteed to be monotonically increasing.",
    ),
    79: (
        "MemberIdRequiredException", False,
        "The group member needs to have a valid member id before actually entering a consumer group.",
    ),
    80: ("PreferredLeaderNotAvailableException", True, "The preferred leader was not available."),
    81: ("GroupMaxSizeReachedException", False, "The group has reached its maximum size."),
    82: (
        "FencedInstanceIdException", False,
        "The broker rejected this static consumer since another consumer with the same group.instance.id has "
        "registered with a different member.id.",
    ),
    83: ("EligibleLeadersNotAvailableException", True, "Eligible topic partition leaders are not available."),
    84: ("ElectionNotNeededException", True, "Leader election not needed for topic partition."),
    85: ("NoReassignmentInProgressException", False, "No partition reassignment is in progress."),
    86: (
        "GroupSubscribedToTopicException", False,
        "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.",
    ),
    87: (
        "InvalidRecordException", False,
        "This record has failed the validation on broker and hence will be rejected.",
    ),
    88: ("UnstableOffsetCommitException", True, "There are unstable offsets that need to be cleared."),
    89: ("ThrottlingQuotaExceededException", True, "The throttling quota has been exceeded."),
    90: (
        "ProducerFencedException", False,
        "There is a newer producer with the same transactionalId which fences the current one.",
    ),
    91: ("ResourceNotFoundException", False, "A request illegally referred to a resource that does not exist."),
    92: ("DuplicateResourceException", False, "A request illegally referred to the same resource twice."),
    93: ("UnacceptableCredentialException", False, "Requested credential would not meet criteria for acceptability."),
    94: (
        "InconsistentVoterSetException", False,
        "Indicates that the either the sender or recipient of a voter-only request is not one of the "
        "expected voters.",
    ),
    95: ("InvalidUpdateVersionException", False, "The given update version was invalid."),
    96: (
        "FeatureUpdateFailedException", False,
        "Unable to update finalized features due to an unexpected server error.",
    ),
    97: (
        "PrincipalDeserializationException", False,
        "Request principal deserialization failed during forwarding. This indicates an internal error on the "
        "broker cluster security setup.",
    ),
    98: ("SnapshotNotFoundException", False, "Requested snapshot was not found."),
    99: (
        "PositionOutOfRangeException", False,
        "Requested position is not greater than or equal to zero, and less than the size of the snapshot.",
    ),
    100: ("UnknownTopicIdException", True, "This server does not host this topic ID."),
    101: ("DuplicateBrokerRegistrationException", False, "This broker ID is already in use."),
    102: ("BrokerIdNotRegisteredException", False, "The given broker ID was not registered."),
    103: ("InconsistentTopicIdException", True, "The log's topic ID did not match the topic ID in the request."),
    104: (
        "InconsistentClusterIdException", False,
        "The clusterId in the request does not match that found on the server.",
    ),
    105: ("TransactionalIdNotFoundException", False, "The transactionalId could not be found."),
    106: ("FetchSessionTopicIdException", True, "The fetch session encountered inconsistent topic ID usage."),
    107: ("IneligibleReplicaException", False, "The new ISR contains at least one ineligible replica."),
    108: (
        "NewLeaderElectedException", False,
        "The AlterPartition request successfully updated the partition state but the leader has changed.",
    ),
    109: ("OffsetMovedToTieredStorageException", False, "The requested offset is moved to tiered storage."),
    110: (
        "FencedMemberEpochException", False,
        "The member epoch is fenced by the group coordinator. The member must abandon all its partitions and "
        "rejoin.",
    ),
    111: (
        "UnreleasedInstanceIdException", False,
        "The instance ID is still used by another member in the consumer group. That member must leave "
        "first.",
    ),
    112: (
        "UnsupportedAssignorException", False,
        "The assignor or its version range is not supported by the consumer group.",
    ),
    113: (
        "StaleMemberEpochException", False,
        "The member epoch is stale. The member must retry after receiving its updated member epoch via the "
        "ConsumerGroupHeartbeat API.",
    ),
    114: ("MismatchedEndpointTypeException", False, "The request was sent to an endpoint of the wrong type."),
    115: ("UnsupportedEndpointTypeException", False, "This endpoint type is not supported yet."),
    116: ("UnknownControllerIdException", False, "This controller ID is not known."),
    117: (
        "UnknownSubscriptionIdException", False,
        "Client sent a push telemetry request with an invalid or outdated subscription ID.",
    ),
    118: (
        "TelemetryTooLargeException", False,
        "Client sent a push telemetry request larger than the maximum size the broker will accept.",
    ),
    119: (
        "InvalidRegistrationException", False,
        "The controller has considered the broker registration to be invalid.",
    ),
    120: (
        "TransactionAbortableException", False,
        "The server encountered an error with the transaction. The client can abort the transaction to "
        "continue using this transactional ID.",
    ),
    121: (
        "InvalidRecordStateException", False,
        "The record state is invalid. The acknowledgement of delivery could not be completed.",
    ),
    122: ("ShareSessionNotFoundException", True, "The share session was not found."),
    123: ("InvalidShareSessionEpochException", True, "The share session epoch is invalid."),
    124: (
        "FencedStateEpochException", False,
        "The share coordinator rejected the request because the share-group state epoch did not match.",
    ),
    125: ("InvalidVoterKeyException", False, "The voter key doesn't match the receiving replica's key."),
    126: ("DuplicateVoterException", False, "The voter is already part of the set of voters."),
    127: ("VoterNotFoundException", False, "The voter is not part of the set of voters."),
    128: ("InvalidRegularExpression", False, "The regular expression is not valid."),
    129: (
        "RebootstrapRequiredException", False,
        "Client metadata is stale. The client should rebootstrap to obtain new metadata.",
    ),
    130: ("StreamsInvalidTopologyException", False, "The supplied topology is invalid."),
    131: ("StreamsInvalidTopologyEpochException", False, "The supplied topology epoch is invalid."),
    132: ("StreamsTopologyFencedException", False, "The supplied topology epoch is outdated."),
    133: ("ShareSessionLimitReachedException", True, "The limit of share sessions has been reached."),
}


def text_of(code: int) -> str:
    """Return Kafka's text for an error code."""
    return _ERRORS[code][2] if code in _ERRORS else f"The server answered with the unknown error code {code}."


def exception_of(code: int) -> str:
    """Return the simple name of the exception that Kafka's Java client raises for an error code."""
    return _ERRORS[code][0] if code in _ERRORS else "UnknownServerException"


def name_of(code: int) -> str:
    """Return Kafka's name of an error code."""
    return ErrorCode(code).name if code in ErrorCode._value2member_map_ else str(code)


def is_retriable(code: int) -> bool:
    """Tell whether Kafka's clients ask again after this error."""
    return code in _ERRORS and _ERRORS[code][1]
