"""What DescribeConfigs (API key 32, versions 1 to 4) says of a topic, a broker, a group, a metrics subscription.

Every key is described with the value in effect, where it comes from, and its synonyms: the places where the value was
looked for and found, the one that counts first. Kafka 4.3.0's peculiarities are kept, for tools compare them:

* synonyms begin with the key's own name or the topic's first broker key; a log.retention.hours set in the file is thus
  no synonym of retention.ms unless log.retention.ms is set as well, and the source of retention.ms stays DEFAULT;
* names that Kafka does not know are described where they are set, as sensitive and read-only, of unknown type;
* a broker asked for by an empty name describes the changes that were made for all brokers, nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from barnabas.config.broker import BROKER_KEYS, base_name, find
from barnabas.config.definitions import ConfigKey, ConfigType, Value, answer_order, parse, render
from barnabas.config.group import CLIENT_METRICS_KEYS, GROUP_KEYS, group_value
from barnabas.config.server import ServerConfig
from barnabas.config.topic import TOPIC_KEYS, inherited


class ResourceType(IntEnum):
    """Number the kinds of resources that have a configuration, as on the wire."""

    TOPIC = 2
    BROKER = 4
    CLIENT_METRICS = 16
    GROUP = 32


class Source(IntEnum):
    """Number the places that a value comes from, as on the wire."""

    DYNAMIC_TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5
    CLIENT_METRICS = 7
    GROUP = 8


class Synonym(NamedTuple):
    """Name one place where a value was found; a sensitive value is None."""

    name: str
    value: str | None
    source: Source


@dataclass(frozen=True, slots=True)
class Entry:
    """Describe one key of a resource; a sensitive value is None."""

    name: str
    value: str | None
    read_only: bool
    source: Source
    sensitive: bool
    synonyms: tuple[Synonym, ...]
    type: ConfigType
    documentation: str


def describe(
    resource_type: ResourceType,
    name: str,
    overrides: Mapping[str, str],
    server: ServerConfig,
    keys: Collection[str] | None = None,
) -> list[Entry]:
    """Describe a resource's configuration, in Kafka's order.

    `overrides` are the own settings of a topic, a group or a subscription; a broker's are those of `server`, and
    `overrides` is not looked at. An empty `name` means the changes for all brokers. `keys` limits the answer to these.
    """
    if resource_type is ResourceType.BROKER:
        entries = _brokers_default(server) if not name else _broker(server)
    elif resource_type is ResourceType.TOPIC:
        entries = _topic(overrides, server)
    elif resource_type is ResourceType.GROUP:
        entries = _group(overrides, server)
    else:
        entries = _metrics(overrides)
    return entries if keys is None else [entry for entry in entries if entry.name in keys]


def _entry(key: ConfigKey, value: Value | None, synonyms: Sequence[Synonym]) -> Entry:
    return Entry(
        name=key.name,
        value=None if key.sensitive else render(value),
        read_only=key.read_only,
        source=synonyms[0].source if synonyms else Source.DEFAULT,
        sensitive=key.sensitive,
        synonyms=tuple(synonyms),
        type=key.type,
        documentation=key.documentation,
    )


def _found(server: ServerConfig, chain: Sequence[str], first: str, sensitive: bool) -> list[Synonym]:
    """List where the broker's configuration holds the keys of a chain, beginning with `first`."""
    found = []
    for source, layer in (
        (Source.DYNAMIC_BROKER, server.per_broker),
        (Source.DYNAMIC_DEFAULT_BROKER, server.default),
        (Source.STATIC_BROKER, server.static),
    ):
        found += [Synonym(name, None if sensitive else layer[name], source) for name in chain if name in layer]
    for name in chain:
        default = BROKER_KEYS[name].default if name in BROKER_KEYS else None
        if default is not None:
            found.append(Synonym(name, None if sensitive else default, Source.DEFAULT))
    while found and found[0].name != first:
        del found[0]
    return found


def _topic(overrides: Mapping[str, str], server: ServerConfig) -> list[Entry]:
    entries = []
    for name, key in TOPIC_KEYS.items():
        if key.internal and name not in overrides:
            continue
        synonyms = _found(server, key.synonyms, key.synonyms[0], key.sensitive) if key.synonyms else []
        if name in overrides:
            value: Value | None = parse(key, overrides[name])
            synonyms.insert(0, Synonym(name, render(value), Source.DYNAMIC_TOPIC))
        else:
            value = inherited(key, server)
        entries.append(_entry(key, value, synonyms))
    return entries


def _group(overrides: Mapping[str, str], server: ServerConfig) -> list[Entry]:
    entries = []
    for name, key in GROUP_KEYS.items():
        if key.synonyms:
            synonyms = _found(server, key.synonyms, key.synonyms[0], key.sensitive)
        else:
            synonyms = [Synonym(name, key.default, Source.DEFAULT)]
        value = group_value(name, overrides, server)
        if name in overrides:
            synonyms.insert(0, Synonym(name, render(value), Source.GROUP))
        entries.append(_entry(key, value, synonyms))
    return entries


def _metrics(overrides: Mapping[str, str]) -> list[Entry]:
    entries = []
    for name, key in CLIENT_METRICS_KEYS.items():
        value = parse(key, overrides.get(name, key.default or ""))
        synonyms = [Synonym(name, render(value), Source.CLIENT_METRICS)] if name in overrides else []
        entries.append(_entry(key, value, synonyms))
    return entries


def _broker(server: ServerConfig) -> list[Entry]:
    # Kafka lists what the file names first, so a key that is named there keeps its place among others of its bucket.
    named = {**server.static, **server.default, **server.per_broker}
    names = [*(name for name, key in BROKER_KEYS.items() if not key.internal or name in named)]
    names += [name for name in named if name not in BROKER_KEYS]
    return [_broker_entry(name, server) for name in answer_order(names, lambda name: name not in BROKER_KEYS)]


def _broker_entry(name: str, server: ServerConfig) -> Entry:
    key = find(name)
    if key is None:
        return _unknown(name, _found(server, (name,), name, sensitive=True))
    base = base_name(name) if name != key.name else None
    chain = key.synonyms if base is None else (name, key.name)
    synonyms = _found(server, chain, name, key.sensitive)
    entry = _entry(key, server.get(name), synonyms)
    if base is None:
        return entry
    # Kafka takes an override for one listener for read-only, although it may be changed.
    return Entry(
        name, entry.value, True, entry.source, entry.sensitive, entry.synonyms, entry.type, entry.documentation
    )


def _brokers_default(server: ServerConfig) -> list[Entry]:
    entries = []
    for name in answer_order(server.default, lambda _: False):
        key = find(name)
        sensitive = key is None or key.sensitive
        own = [Synonym(name, None if sensitive else server.default[name], Source.DYNAMIC_DEFAULT_BROKER)]
        entries.append(_unknown(name, own) if key is None else _entry(key, parse(key, server.default[name]), own))
    return entries


def _unknown(name: str, synonyms: Sequence[Synonym]) -> Entry:
    source = synonyms[0].source if synonyms else Source.DEFAULT
    return Entry(name, None, True, source, True, tuple(synonyms), ConfigType.UNKNOWN, "")
