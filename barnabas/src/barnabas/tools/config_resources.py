"""Describe and change what is a configuration: of topics, brokers, their loggers, client metrics, groups.

Serves kafka-configs and kafka-client-metrics. A broker answers for itself; anything else is asked of any broker. All
changes of an entity travel in one request: they happen together or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.describe_configs import DescribeConfigsResourceResult
from barnabas.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from barnabas.protocol.messages.list_config_resources import ListConfigResourcesRequest
from barnabas.protocol.messages.list_groups import ListGroupsRequest
from barnabas.tools.cluster import Cluster
from barnabas.tools.connection import UnsupportedVersion
from barnabas.tools.describing import (
    BROKER,
    BROKER_LOGGER,
    CLIENT_METRICS,
    GROUP,
    SOURCES,
    TOPIC,
    describe_configs,
)
from barnabas.tools.errors import AnswerError, OptionError, check

#: kind of entity: its type in requests, the source of its dynamic values; loggers have no source
_KINDS: Final = {
    "topics": (TOPIC, 1), "brokers": (BROKER, 2), "broker-loggers": (BROKER_LOGGER, None),
    "client-metrics": (CLIENT_METRICS, 7), "groups": (GROUP, 8),
}
_DYNAMIC_DEFAULT_BROKER: Final = 3
SET, DELETE = 0, 1

Entry = DescribeConfigsResourceResult


def check_topic(name: str) -> None:
    """Raise `OptionError`, in Kafka's words, for a name that no topic can have."""
    problem = ""
    if not name:
        problem = "the empty string is not allowed"
    elif name in (".", ".."):
        problem = f"'{name}' is not allowed"
    elif len(name) > 249:
        problem = f"the length of '{name}' is longer than the max allowed length 249"
    elif re.fullmatch(r"[a-zA-Z0-9._-]+", name) is None:
        problem = f"'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    if problem:
        raise OptionError(f"Topic name is invalid: {problem}")


def entries_of(
    cluster: Cluster, kind: str, name: str, *, synonyms: bool = False, everything: bool = False
) -> list[Entry]:
    """Return the configuration of an entity, by name: the dynamic part, or everything. Raises `AnswerError`."""
    resource, source = _KINDS[kind]
    if kind == "topics" and name:
        check_topic(name)
    if kind == "brokers" and not name:
        source = _DYNAMIC_DEFAULT_BROKER
    result = describe_configs(cluster, resource, [name], synonyms=synonyms, node=_node(kind, name))[name]
    check(result.error_code, result.error_message)
    shown = result.configs if everything or source is None else [e for e in result.configs if e.config_source == source]
    return sorted(shown, key=lambda entry: entry.name)


def _node(kind: str, name: str) -> int | None:
    return int(name) if kind in ("brokers", "broker-loggers") and name else None


def change(cluster: Cluster, kind: str, name: str, changes: Iterable[tuple[str, int, str | None]]) -> None:
    """Set (0) and delete (1) keys of an entity. Raises `AnswerError`."""
    resource = AlterConfigsResource(_KINDS[kind][0], name, [AlterableConfig(*one) for one in changes])
    answer = cluster.ask(
        IncrementalAlterConfigsRequest([resource]), node=_node(kind, name), call="incrementalAlterConfigs"
    )
    for result in answer.responses:
        check(result.error_code, result.error_message)


def alter(cluster: Cluster, kind: str, name: str, added: dict[str, str], deleted: list[str]) -> None:
    """Change an entity as kafka-configs does. Raises `OptionError` for loggers that are not there."""
    if kind == "broker-loggers":
        known = {entry.name for entry in entries_of(cluster, kind, name)}
        missing = [key for key in (*deleted, *added) if key not in known]
        if missing:
            raise OptionError(f"Invalid broker logger(s): {','.join(missing)}")
    try:
        change(cluster, kind, name, [
            *((key, DELETE, "") for key in deleted), *((key, SET, value) for key, value in added.items())
        ])
    except UnsupportedVersion as e:
        if kind == "broker-loggers":
            raise
        raise OptionError(
            "The INCREMENTAL_ALTER_CONFIGS API is not supported by the cluster. The API is supported starting from "
            "version 2.3.0. You may want to use an older version of this tool to interact with your cluster, or "
            "upgrade your brokers to version 2.3.0 or newer to avoid this error."
        ) from e


def names_of(cluster: Cluster, kind: str) -> list[str]:
    """Return the names of the entities of a kind that a cluster knows, in order; a broker's default is ""."""
    if kind == "topics":
        refuse_controllers(cluster)
        return [topic.name or "" for topic in cluster.topics()]
    if kind in ("brokers", "broker-loggers"):
        return [*(str(node) for node in sorted(cluster.brokers)), ""]
    if kind == "client-metrics":
        return resources(cluster, CLIENT_METRICS)
    refuse_controllers(cluster)
    groups: set[str] = set()
    for answer in cluster.each_broker(ListGroupsRequest(), call="listGroups").values():
        check(answer.error_code)
        groups |= {group.group_id for group in answer.groups}
    return sorted(groups | set(resources(cluster, GROUP)))


def resources(cluster: Cluster, kind: int) -> list[str]:
    """Return the names of the client metrics or groups that have a configuration, in order."""
    refuse_controllers(cluster)
    highest = None
    if kind == CLIENT_METRICS and not cluster.supports(ListConfigResourcesRequest.KEY, 1, "listConfigResources"):
        highest = 0  # which knows nothing else
    request = ListConfigResourcesRequest([kind] if highest is None else [])
    answer = cluster.ask(request, call="listConfigResources", highest=highest)
    check(answer.error_code)
    return sorted(resource.resource_name for resource in answer.config_resources)


def refuse_controllers(cluster: Cluster) -> None:
    """Raise `AnswerError`, as Java's admin client does, for what only brokers are asked."""
    if cluster.settings.to_controllers:
        raise AnswerError(
            ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
            "This Admin API is not yet supported when communicating directly with the controller quorum.",
        )


def describe(cluster: Cluster, kind: str, name: str | None, lines: list[str], *, everything: bool) -> Any:
    """Describe an entity, or all of a kind: add the lines to print, return the same for JSON."""
    if name is not None and not everything:
        if kind == "topics":
            check_topic(name)
        if name not in names_of(cluster, kind):
            lines.append(f"The {kind[:-1]} '{name}' doesn't exist and doesn't have dynamic config.")
            return []
    document = []
    for entity in names_of(cluster, kind) if name is None else [name]:
        if entity:
            lines.append(f"{'All' if everything else 'Dynamic'} configs for {kind[:-1]} {entity} are:")
        else:
            lines.append(f"Default configs for {kind} in the cluster are:")
        configs = []
        for entry in entries_of(cluster, kind, entity, synonyms=True, everything=everything):
            chain = [(SOURCES.get(s.source, "UNKNOWN"), s.name, _text(s.value)) for s in entry.synonyms]
            synonyms = ", ".join(f"{source}:{key}={value}" for source, key, value in chain)
            sensitive = "true" if entry.is_sensitive else "false"
            lines.append(f"  {entry.name}={_text(entry.value)} sensitive={sensitive} synonyms={{{synonyms}}}")
            configs.append({
                "name": entry.name, "value": entry.value, "source": SOURCES.get(entry.config_source, "UNKNOWN"),
                "sensitive": entry.is_sensitive, "readOnly": entry.read_only,
                "synonyms": [{"source": s, "name": k, "value": v.value} for (s, k, _), v in
                             zip(chain, entry.synonyms, strict=True)],
            })
        document.append({"type": kind, "name": entity or None, "configs": configs})
    return document


def _text(value: str | None) -> str:
    return "null" if value is None else value
