"""Answer DescribeConfigs (1-4), AlterConfigs (0-2), IncrementalAlterConfigs (0-1), ListConfigResources (0-1).

Each resource is answered on its own: one that is refused does not hold up the others. Levels of loggers (resource
type 8) are not kept in the metadata: they last until the node stops, as with Kafka.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from barnabas.config.broker import BROKER_KEYS
from barnabas.config.definitions import ConfigException, ConfigKey, ConfigRequestException
from barnabas.config.describe import Entry, ResourceType, describe
from barnabas.config.group import (
    CLIENT_METRICS_KEYS,
    GROUP_KEYS,
    validate_client_metrics_configs,
    validate_group_configs,
)
from barnabas.config.topic import TOPIC_KEYS, validate_topic_configs
from barnabas.config.updates import Operation, apply_operations, validate_broker_configs
from barnabas.handlers.context import Answer, Request
from barnabas.node.node import Node
from barnabas.node.topics import check_name
from barnabas.protocol.errors import SENTENCES, ErrorCode, KafkaError
from barnabas.protocol.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)
from barnabas.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)
from barnabas.protocol.messages.incremental_alter_configs import (
    AlterConfigsResourceResponse as IncrementalResponse,
)
from barnabas.protocol.messages.incremental_alter_configs import (
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from barnabas.protocol.messages.list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)
from barnabas.protocol.records import metadata as r
from barnabas.protocol.schema import Message

_LOGGER: Final = 8
_LEVELS: Final = {"FATAL": 50, "ERROR": 40, "WARN": 30, "INFO": 20, "DEBUG": 10, "TRACE": 5}
_DYNAMIC_BROKER_LOGGER: Final = 6
_STRING: Final = 2
_NODE_ID: Final = "Node id must be an integer, but it is"
_KEYS: Final[dict[int, Mapping[str, ConfigKey]]] = {
    ResourceType.TOPIC: TOPIC_KEYS, ResourceType.BROKER: BROKER_KEYS,
    ResourceType.CLIENT_METRICS: CLIENT_METRICS_KEYS, ResourceType.GROUP: GROUP_KEYS,
}


# --- describe -----------------------------------------------------------------------------------------------

def describe_configs(node: Node, request: Request) -> Answer:
    """Answer DescribeConfigs: every key with its source, and its synonyms if asked for."""
    message: DescribeConfigsRequest = request.message
    results = []
    for resource in message.resources:
        try:
            entries = _describe(node, resource, message)
            results.append(
                DescribeConfigsResult(0, "", resource.resource_type, resource.resource_name, entries)
            )
        except KafkaError as e:
            results.append(
                DescribeConfigsResult(e.code, e.message or "", resource.resource_type, resource.resource_name)
            )
    return DescribeConfigsResponse(results=results)


def _describe(
    node: Node, resource: DescribeConfigsResource, message: DescribeConfigsRequest
) -> list[DescribeConfigsResourceResult]:
    kind, name = resource.resource_type, resource.resource_name
    if kind == _LOGGER:
        return _describe_loggers(node, resource)
    if kind == ResourceType.TOPIC:
        check_name(name)
        node.topics.get(name)
    elif kind == ResourceType.BROKER:
        if name:
            _check_broker(node, name, "Unexpected broker id, expected {} or empty string, but received {}")
    elif kind not in _KEYS:
        raise KafkaError(ErrorCode.INVALID_REQUEST, SENTENCES[ErrorCode.INVALID_REQUEST])
    elif not name:
        what = "Group name" if kind == ResourceType.GROUP else "Client metrics subscription name"
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{what} must not be empty")
    # no keys at all mean all keys, whether the list is empty or null
    entries = describe(
        ResourceType(kind), name, node.image.config(kind, name), node.config, resource.configuration_keys or None
    )
    return [_result(e, message.include_synonyms, message.include_documentation) for e in entries]


def _result(e: Entry, synonyms: bool, documentation: bool) -> DescribeConfigsResourceResult:
    return DescribeConfigsResourceResult(
        e.name, e.value, e.read_only, e.source, e.sensitive,
        [DescribeConfigsSynonym(s.name, s.value, s.source) for s in e.synonyms] if synonyms else [],
        e.type, e.documentation if documentation else None,
    )


def _check_broker(
    node: Node, name: str, other: str, no_number: str = "Broker id must be an integer, but it is"
) -> None:
    """Refuse a resource that is not this node; `other` is Kafka's sentence for another one, with two places."""
    if name != str(node.node_id):
        if not name.lstrip("-").isdigit():
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"{no_number}: {name}")
        raise KafkaError(ErrorCode.INVALID_REQUEST, other.format(node.node_id, name))


def _describe_loggers(node: Node, resource: DescribeConfigsResource) -> list[DescribeConfigsResourceResult]:
    if not resource.resource_name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Broker id must not be empty")
    _check_broker(node, resource.resource_name, "Unexpected broker id, expected {} but received {}")
    names = ["root", *sorted(n for n in logging.root.manager.loggerDict if n.startswith("barnabas"))]
    wanted = resource.configuration_keys
    return [
        DescribeConfigsResourceResult(
            name, _level_name(_logger(name).getEffectiveLevel()), False, _DYNAMIC_BROKER_LOGGER, False, [], _STRING,
            None,
        )
        for name in names
        if wanted is None or name in wanted
    ]


def _logger(name: str) -> logging.Logger:
    return logging.getLogger(None if name == "root" else name)


def _level_name(level: int) -> str:
    return min(_LEVELS, key=lambda name: abs(_LEVELS[name] - level))


# --- alter --------------------------------------------------------------------------------------------------

def alter_configs(node: Node, request: Request) -> Answer:
    """Answer AlterConfigs: keys that are not named return to their defaults."""
    message: AlterConfigsRequest = request.message

    def change(resource: Any) -> dict[str, str | None]:
        _refuse_doubles(resource)
        nulls = [c.name for c in resource.configs if c.value is None]
        if nulls:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Null value not supported for : {','.join(nulls)}")
        return {c.name: c.value for c in resource.configs}

    results = _alter(node, message, change, AlterConfigsResourceResponse)
    return AlterConfigsResponse(responses=results)


def incremental_alter_configs(node: Node, request: Request) -> Answer:
    """Answer IncrementalAlterConfigs: SET, DELETE, APPEND and SUBTRACT of single keys."""
    message: IncrementalAlterConfigsRequest = request.message

    def change(resource: Any) -> dict[str, str | None]:
        keys = _KEYS[resource.resource_type]
        try:
            operations = [(Operation(c.config_operation), c.name, c.value) for c in resource.configs]
        except ValueError as e:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown operation: {e}") from e
        _refuse_doubles(resource)
        current = node.image.config(resource.resource_type, resource.resource_name)
        return dict(apply_operations(current, operations, keys))

    results = _alter(node, message, change, IncrementalResponse)
    return IncrementalAlterConfigsResponse(responses=results)


def _refuse_doubles(resource: Any) -> None:
    if any(n > 1 for n in Counter(c.name for c in resource.configs).values()):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")


def _alter(node: Node, message: Any, change: Any, response: Any) -> list[Any]:
    counts = Counter((x.resource_type, x.resource_name) for x in message.resources)
    results = []
    for resource in message.resources:
        kind, name = resource.resource_type, resource.resource_name
        try:
            if counts[kind, name] > 1:
                raise KafkaError(
                    ErrorCode.INVALID_REQUEST, "Each resource must appear at most once."
                )
            if kind == _LOGGER and response is IncrementalResponse:
                _alter_loggers(node, resource, message.validate_only)
            elif kind not in _KEYS:
                raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown resource type {kind}")
            else:
                wanted = change(resource)
                _check(node, kind, name, wanted)
                if not message.validate_only:
                    _write(node, kind, name, {k: v for k, v in wanted.items() if v is not None})
            results.append(response(0, None, kind, name))
        except ConfigException as e:
            code = ErrorCode.INVALID_REQUEST if isinstance(e, ConfigRequestException) else ErrorCode.INVALID_CONFIG
            results.append(response(code, str(e), kind, name))
        except KafkaError as e:
            results.append(response(e.code, e.message, kind, name))
    return results


def _check(node: Node, kind: int, name: str, wanted: Mapping[str, str | None]) -> None:
    texts = {key: value for key, value in wanted.items() if value is not None}
    if kind == ResourceType.TOPIC:
        if not name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Default topic resources are not allowed.")
        check_name(name)
        if name not in node.image.topics:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{name}' does not exist.")
        validate_topic_configs(wanted)
    elif kind == ResourceType.BROKER:
        if name:
            _check_broker(node, name, "Unexpected broker id, expected {}, but received {}", _NODE_ID)
        validate_broker_configs(texts, node.config, per_broker=bool(name))
    elif kind == ResourceType.GROUP:
        if not name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Default group resources are not allowed.")
        validate_group_configs(texts, node.config)
    else:
        if not name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Subscription name can't be empty")
        validate_client_metrics_configs(texts)


def _write(node: Node, kind: int, name: str, wanted: Mapping[str, str]) -> None:
    current = node.image.config(kind, name)
    records: list[Message] = [
        r.ConfigRecord(kind, name, key, value) for key, value in wanted.items() if current.get(key) != value
    ]
    records += [r.ConfigRecord(kind, name, key, None) for key in current if key not in wanted]
    node.store.commit(records, node.clock.now_ms())
    if kind == ResourceType.TOPIC:
        node.apply_topic_config(name)
    elif kind == ResourceType.BROKER:
        node.apply_broker_config()


def _alter_loggers(node: Node, resource: Any, validate_only: bool) -> None:
    _check_broker(node, resource.resource_name, "Unexpected node id. Expected {}, but received {}", _NODE_ID)
    changes: list[tuple[logging.Logger, int]] = []
    for config in resource.configs:
        operation = getattr(config, "config_operation", Operation.SET)
        if operation not in (Operation.SET, Operation.DELETE):
            name = Operation(operation).name if operation in iter(Operation) else str(operation)
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, f"{name} operation is not allowed for the BROKER_LOGGER resource"
            )
        known = config.name == "root" or config.name in logging.root.manager.loggerDict
        if not known:
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"Logger {config.name} does not exist!")
        if operation == Operation.DELETE:
            if config.name == "root":
                raise KafkaError(ErrorCode.INVALID_REQUEST, "Removing the log level of the root logger is not allowed")
            changes.append((_logger(config.name), logging.NOTSET))
        elif config.value in _LEVELS:
            changes.append((_logger(config.name), _LEVELS[config.value]))
        else:
            raise KafkaError(
                ErrorCode.INVALID_CONFIG,
                f"Cannot set the log level of {config.name} to {config.value} as it is not a supported log level. "
                f"Valid log levels are {', '.join(sorted(_LEVELS))}",
            )
    if not validate_only:
        for logger, level in changes:
            logger.setLevel(level)


# --- list ---------------------------------------------------------------------------------------------------

def list_config_resources(node: Node, request: Request) -> Answer:
    """Answer ListConfigResources; version 0 knows client metrics alone (KIP-1142)."""
    message: ListConfigResourcesRequest = request.message
    supported = {ResourceType.CLIENT_METRICS, ResourceType.TOPIC, ResourceType.BROKER, ResourceType.GROUP, _LOGGER}
    wanted: set[int] = {ResourceType.CLIENT_METRICS}
    if request.version >= 1:
        wanted = set(message.resource_types) or set(supported)
    if not wanted <= supported:
        return ListConfigResourcesResponse(error_code=ErrorCode.UNSUPPORTED_VERSION)
    found = []
    if ResourceType.TOPIC in wanted:
        found += [ConfigResource(name, ResourceType.TOPIC) for name in node.image.topics]
    for kind in (ResourceType.BROKER, _LOGGER):
        if kind in wanted:
            found.append(ConfigResource(str(node.node_id), kind))
    for kind in (ResourceType.CLIENT_METRICS, ResourceType.GROUP):
        if kind in wanted:
            found += [ConfigResource(name, kind) for k, name in node.image.configs if k == kind]
    return ListConfigResourcesResponse(config_resources=found)
