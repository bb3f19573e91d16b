"""Show the metadata of a cluster as the tree of folders and files that Kafka's metadata shell shows.

A folder is a dictionary, a file a text. Texts are those of the toString of Kafka's classes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from barnabas.log.directory import METADATA_FOLDER
from barnabas.metadata.image import MetadataImage
from barnabas.metadata.reading import Metadata, read
from barnabas.protocol.batch import NO_TIMESTAMP, batches, crc_matches
from barnabas.protocol.records import metadata as r
from barnabas.tools.record_json import java_double
from barnabas.tools.storage_features import METADATA_VERSION, version_name
from barnabas.tools.texts import uuid_text

Tree = dict[str, Any]

KAFKA_VERSION, KAFKA_COMMIT = "4.3.0", "a9ce3221537b8653"
_CONFIG_TYPES = {1: "UNKNOWN", 2: "TOPIC", 4: "BROKER", 8: "BROKER_LOGGER", 16: "CLIENT_METRICS", 32: "GROUP"}
_SECURITY = {0: "PLAINTEXT", 1: "SSL", 2: "SASL_PLAINTEXT", 3: "SASL_SSL"}
_MECHANISMS = {1: "SCRAM-SHA-256", 2: "SCRAM-SHA-512"}
_RESOURCES = ("UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER")
_PATTERNS = ("UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED")
_OPERATIONS = (
    "UNKNOWN", "ANY", "ALL", "READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE", "CLUSTER_ACTION",
    "DESCRIBE_CONFIGS", "ALTER_CONFIGS", "IDEMPOTENT_WRITE", "CREATE_TOKENS", "DESCRIBE_TOKENS", "TWO_PHASE_COMMIT",
)
_PERMISSIONS = ("UNKNOWN", "ANY", "DENY", "ALLOW")


def read_tree(path: Path) -> Tree:
    """Read a log file or a snapshot, or a folder of them. Raises `MetadataError`, `OSError`."""
    if path.is_dir():
        inner = path / METADATA_FOLDER
        found = read(inner if inner.is_dir() else path)
        return tree_of(found.image, found.end - 1, found.epoch, NO_TIMESTAMP)
    data = path.read_bytes()
    metadata = Metadata()
    offset, epoch, timestamp = -1, -1, NO_TIMESTAMP
    for header, at in batches(data):
        if header.magic != 2 or not crc_matches(header, data, at):
            break
        metadata.replay_batch(header, data[at : at + header.size])
        if not header.is_control:
            offset, epoch, timestamp = header.last_offset, header.leader_epoch, header.max_timestamp
    return tree_of(metadata.image, offset, epoch, timestamp)


def tree_of(image: MetadataImage, offset: int, epoch: int, timestamp: int) -> Tree:
    """Return the tree of an image that holds everything up to an offset; the time in milliseconds."""
    topics = {topic.name: _topic(topic) for topic in image.topics.values()}
    return {
        "image": {
            "acls": {"byId": {
                uuid_text(acl.id): _acl(acl)
                for acl in image.kept.values() if isinstance(acl, r.AccessControlEntryRecord)
            }},
            "clientQuotas": _quotas(image),
            "cluster": {
                "brokers": {str(broker.broker_id): _broker(broker) for broker in image.brokers.values()},
                "controllers": {
                    str(c.controller_id): _controller(c)
                    for c in image.kept.values() if isinstance(c, r.RegisterControllerRecord)
                },
            },
            "configs": {
                _CONFIG_TYPES.get(kind, str(kind)) + (f":{name}" if name else ""): dict(configs)
                for (kind, name), configs in image.configs.items() if configs
            },
            "delegationToken": _tokens(image),
            "features": _features(image),
            "producerIds": {"nextProducerId": str(image.next_producer_id or -1)},
            "provenance": f"offset {offset}, epoch {epoch}, time {_time(timestamp)}[UTC]",
            "scram": _scram(image),
            "topics": {
                "byId": {topic["id"]: topic for topic in topics.values()},
                "byName": topics,
            },
        },
        "local": {"commitId": KAFKA_COMMIT, "version": KAFKA_VERSION},
    }


def _time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    if milliseconds % 1000:
        text += f".{milliseconds % 1000:03d}"
    return f"{text}Z"


def _list(items: list[Any] | None) -> str:
    return "[" + ", ".join(str(item) for item in items or []) + "]"


def _ids(items: list[bytes] | None) -> str:
    return _list([uuid_text(item) for item in items or []])


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _topic(topic: Any) -> Tree:
    found: Tree = {"id": uuid_text(topic.id), "name": topic.name}
    for partition in topic.partitions:
        p = partition.record
        # a partition without directories has unassigned ones
        directories = p.directories or [bytes(15) + b"\1"] * len(p.replicas)
        found[str(partition.index)] = (
            f"PartitionRegistration(replicas={_list(p.replicas)}, directories={_ids(directories)}, "
            f"isr={_list(p.isr)}, removingReplicas={_list(p.removing_replicas)}, "
            f"addingReplicas={_list(p.adding_replicas)}, elr={_list(p.eligible_leader_replicas)}, "
            f"lastKnownElr={_list(p.last_known_elr)}, leader={p.leader}, "
            f"leaderRecoveryState={'RECOVERING' if p.leader_recovery_state else 'RECOVERED'}, "
            f"leaderEpoch={p.leader_epoch}, partitionEpoch={p.partition_epoch})"
        )
    return found


def _endpoints(endpoints: Any) -> str:
    return _list([
        f"Endpoint(listenerName='{e.name}', securityProtocol={_SECURITY.get(e.security_protocol)}, host='{e.host}', "
        f"port={e.port})"
        for e in endpoints
    ])


def _supported(features: Any) -> str:
    ranges = sorted((f.name, f.min_supported_version, f.max_supported_version) for f in features)
    return "{" + ", ".join(f"{n}: {a if a == b else f'{a}-{b}'}" for n, a, b in ranges) + "}"


def _broker(b: r.RegisterBrokerRecord) -> str:
    rack = "Optional.empty" if b.rack is None else f"Optional[{b.rack}]"
    cordoned = "null" if b.cordoned_log_dirs is None else _ids(b.cordoned_log_dirs)
    return (
        f"BrokerRegistration(id={b.broker_id}, epoch={b.broker_epoch}, incarnationId={uuid_text(b.incarnation_id)}, "
        f"listeners={_endpoints(b.end_points)}, supportedFeatures={_supported(b.features)}, rack={rack}, "
        f"fenced={_bool(b.fenced)}, inControlledShutdown={_bool(b.in_controlled_shutdown)}, "
        f"isMigratingZkBroker={_bool(b.is_migrating_zk_broker)}, directories={_ids(sorted(b.log_dirs))}, "
        f"cordonedDirectories={cordoned})"
    )


def _controller(c: r.RegisterControllerRecord) -> str:
    return (
        f"ControllerRegistration(id={c.controller_id}, incarnationId={uuid_text(c.incarnation_id)}, "
        f"zkMigrationReady={_bool(c.zk_migration_ready)}, listeners={_endpoints(c.end_points)}, "
        f"supportedFeatures={_supported(c.features)})"
    )


def _features(image: MetadataImage) -> Tree:
    found: Tree = {
        f"finalized_{name}": str(level) for name, level in image.features.items() if name != METADATA_VERSION
    }
    level = image.features.get(METADATA_VERSION)
    name = None if level is None else version_name(level)
    found["metadataVersion"] = "Optional.empty" if name is None else f"Optional[{name}]"
    return found


def _quotas(image: MetadataImage) -> Tree:
    found: Tree = {}
    for record in image.kept.values():
        if isinstance(record, r.ClientQuotaRecord):
            named = {entity.entity_type: entity.entity_name for entity in record.entity}
            parts = [
                f"{shown}({_escaped(named[kind] or '')})"
                for kind, shown in (("client-id", "clientId"), ("ip", "ip"), ("user", "user")) if kind in named
            ]
            found.setdefault("_".join(parts), {})[record.key] = java_double(record.value)
    return found


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def _scram(image: MetadataImage) -> Tree:
    found: Tree = {name: {} for name in _MECHANISMS.values()}
    for user in image.kept.values():
        if isinstance(user, r.UserScramCredentialRecord) and user.mechanism in _MECHANISMS:
            found[_MECHANISMS[user.mechanism]][user.name] = (
                f"ScramCredentialData(salt={user.salt.hex()}, storedKey={user.stored_key.hex()}, "
                f"serverKey={user.server_key.hex()}, iterations={user.iterations})"
            )
    return found


def _tokens(image: MetadataImage) -> Tree:
    tokens = [token for token in image.kept.values() if isinstance(token, r.DelegationTokenRecord)]
    return {
        token.token_id: (
            f"DelegationTokenRecord(owner='{token.owner}', requester='{token.requester}', "
            f"renewers={_list(token.renewers)}, issueTimestamp={token.issue_timestamp}, "
            f"maxTimestamp={token.max_timestamp}, expirationTimestamp={token.expiration_timestamp}, "
            f"tokenId='{token.token_id}')"
        )
        for token in tokens
    }


def _acl(acl: r.AccessControlEntryRecord) -> str:
    return (
        f"StandardAcl[resourceType={_name(_RESOURCES, acl.resource_type)}, resourceName={acl.resource_name}, "
        f"patternType={_name(_PATTERNS, acl.pattern_type)}, principal={acl.principal}, host={acl.host}, "
        f"operation={_name(_OPERATIONS, acl.operation)}, permissionType={_name(_PERMISSIONS, acl.permission_type)}]"
    )


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else "UNKNOWN"
