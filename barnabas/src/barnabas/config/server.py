"""The node's configuration: what a properties file says, what was changed while the node ran, and the defaults.

A value is looked for among the changes for this node, then among the changes for all nodes, in the properties, and
last in the defaults. Nothing here changes: `with_dynamic` makes another configuration. Every value was checked by then,
so reading one cannot fail.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Never, Self, cast

from barnabas.config import listeners as listening
from barnabas.config.broker import BROKER_KEYS, SINGLE_REPLICA_KEYS, find
from barnabas.config.checks import check_broker
from barnabas.config.definitions import ConfigException, Value, parse
from barnabas.config.listeners import Listener
from barnabas.config.settings import Settings
from barnabas.config.units import CHAINS, in_milliseconds

if TYPE_CHECKING:
    from barnabas.config.topic import TopicConfig

__all__ = ["Listener", "ServerConfig"]

_logger = logging.getLogger(__name__)
_NOTHING: Mapping[str, str] = MappingProxyType({})

# Keys of clusters with ZooKeeper, which Apache Kafka 4 dropped as well.
_ZOOKEEPER_KEYS = frozenset(
    ("broker.id.generation.enable", "reserved.broker.max.id", "control.plane.listener.name", "zookeeper.connect")
)


class ServerConfig(Settings):
    """Hold the configuration in effect; read values as attributes or with `get`."""

    listeners: tuple[Listener, ...]
    static: Mapping[str, str]
    per_broker: Mapping[str, str]
    default: Mapping[str, str]

    def __init__(
        self,
        static: Mapping[str, str],
        per_broker: Mapping[str, str],
        default: Mapping[str, str],
        listeners: tuple[Listener, ...],
    ) -> None:
        """Take texts that were checked already; use `load` for those that were not."""
        own = self.__dict__
        own.update(static=static, per_broker=per_broker, default=default, listeners=listeners)
        effective = dict(static)
        for layer in (default, per_broker):
            for name, text in layer.items():
                # A change replaces its whole chain: log.retention.ms hides log.retention.hours of the file.
                for replaced in CHAINS.get(name, ()):
                    effective.pop(replaced, None)
                effective[name] = text
        values: dict[str, Value | None] = {}
        for name, text in effective.items():
            if key := find(name):
                values[name] = _single_replica(name, parse(key, text))
        own["_values"] = values
        own.update(_default_attributes())
        for name, value in values.items():
            attribute = name.replace(".", "_")
            if attribute in _attributes and name in BROKER_KEYS:
                own[attribute] = tuple(value) if isinstance(value, list) else value
        for finest, chain in _FINEST:
            own[finest.replace(".", "_")] = resolve(self, chain)
        directories = self.get("log.dirs") or self.get("log.dir")
        own["log_dirs"] = tuple(cast("list[str]", directories))
        own["log_dir"] = self.log_dirs[0]

    def __setattr__(self, name: str, value: object) -> Never:
        """Refuse changes."""
        raise AttributeError(f"a configuration does not change: {name}")

    def __delattr__(self, name: str) -> Never:
        """Refuse changes."""
        raise AttributeError(f"a configuration does not change: {name}")

    @cached_property
    def topic_defaults(self) -> TopicConfig:
        """Give the configuration of a topic that has none of its own."""
        from barnabas.config.topic import TopicConfig

        return TopicConfig.of({}, self)

    @classmethod
    def load(cls, properties: Mapping[str, str], *, host_name: str | None = None) -> tuple[Self, list[str]]:
        """Check properties and build the configuration; also give a warning for each that has no effect.

        `host_name` is what a listener on every address advertises; None asks the system for the machine's name.
        Raise ConfigException for the first value that is not allowed.
        """
        static = dict(properties)
        warnings: list[str] = []
        _agree_on_id(static)
        values: dict[str, Value] = {}
        for name, text in static.items():
            key = find(name)
            if key is not None:
                values[name] = parse(key, text)
            if name.startswith("zookeeper.") or name in _ZOOKEEPER_KEYS:
                warnings.append(f"Configuration key {name} belongs to clusters with ZooKeeper and has no effect")
            elif key is None or not key.supported or name not in BROKER_KEYS:
                warnings.append(f"Configuration key {name} is not supported and has no effect")
            elif name in SINGLE_REPLICA_KEYS and cast("int", values[name]) > 1:
                warnings.append(f"Configuration key {name} is {text}, but one node holds one replica: 1 is used")
        _check_roles(values, warnings)
        if len(directories := cast("list[str]", values.get("log.dirs") or values.get("log.dir") or [])) > 1:
            key_name = "log.dirs" if "log.dirs" in values else "log.dir"
            raise ConfigException(key_name, ",".join(directories), "One directory is supported")
        found = _listeners(static, values, host_name, warnings)
        config = cls(MappingProxyType(static), _NOTHING, _NOTHING, found)
        check_broker(config)
        return config, warnings

    def with_dynamic(self, per_broker: Mapping[str, str], default: Mapping[str, str]) -> Self:
        """Give the configuration with these changes in place of earlier ones.

        Changes were checked when they were made. One that is not allowed any more (after a downgrade) is left out, with
        a line in the log, rather than keep the node from starting.
        """
        layers = [MappingProxyType(dict(filter(_acceptable, layer.items()))) for layer in (per_broker, default)]
        return type(self)(self.static, layers[0], layers[1], self.listeners)

    def with_listeners(self, found: tuple[Listener, ...]) -> Self:
        """Give the configuration with listeners in place of those configured: a port 0 became a real one."""
        return type(self)(self.static, self.per_broker, self.default, found)

    def get(self, name: str) -> Value | None:
        """Give the value in effect of any broker key; None where it has none, or Kafka does not know the key."""
        values = cast("dict[str, Value | None]", self.__dict__["_values"])
        if name not in values:
            key = BROKER_KEYS.get(name)
            values[name] = None if key is None or key.default is None else parse(key, key.default)
        return values[name]

    def original(self, name: str) -> str | None:
        """Give the text that the properties hold for a key; None where they do not name it."""
        return self.static.get(name)


_FINEST = [(chain[0], chain) for chain in dict.fromkeys(CHAINS.values())]


def resolve(config: ServerConfig, chain: Sequence[str]) -> int:
    """Give, in milliseconds, the first value that a chain of units has; -1 for any that is negative."""
    for name in chain:
        value = config.get(name)
        if isinstance(value, int):
            return max(in_milliseconds(name, value), -1)
    # log.flush.scheduler.interval.ms and the hours have defaults: a chain always ends.
    raise KeyError(chain[0])


_attributes: dict[str, object] = {}


def _default_attributes() -> Mapping[str, object]:
    """Give the attributes of a node without any setting; they are parsed once."""
    if not _attributes:
        for name, key in BROKER_KEYS.items():
            attribute = name.replace(".", "_")
            if attribute in Settings.__annotations__:
                value = None if key.default is None else parse(key, key.default)
                empty = () if key.type.name == "LIST" else None
                _attributes[attribute] = tuple(value) if isinstance(value, list) else empty if value is None else value
    return _attributes


def _single_replica(name: str, value: Value) -> Value:
    return 1 if name in SINGLE_REPLICA_KEYS and isinstance(value, int) and value > 1 else value


def _acceptable(item: tuple[str, str]) -> bool:
    name, text = item
    key = find(name)
    try:
        if key is not None:
            parse(key, text)
    except ConfigException as error:
        _logger.error("config %s: a stored change is left out: %s", name, error)
        return False
    return True


def _agree_on_id(static: dict[str, str]) -> None:
    """Let node.id and broker.id, its older name, stand for each other; -1 asked ZooKeeper for a number."""
    if static.get("broker.id", "").strip() == "-1":
        del static["broker.id"]
    if "node.id" not in static and "broker.id" in static:
        static["node.id"] = static["broker.id"]
    elif "node.id" in static and static.setdefault("broker.id", static["node.id"]).strip() != static["node.id"].strip():
        sentence = "You must set `node.id` to the same value as `broker.id`."
        raise ConfigException("node.id", static["node.id"], sentence=sentence)


def _check_roles(values: Mapping[str, Value], warnings: list[str]) -> None:
    roles = cast("list[str]", values.get("process.roles", ["broker", "controller"]))
    if roles == ["controller"]:
        raise ConfigException("process.roles", "controller", "A node without the broker role is not supported")
    if "controller" not in roles:
        warnings.append("Configuration key process.roles has no controller, but the node is always its own controller")
    voters = cast("list[str]", values.get("controller.quorum.voters", []))
    if len(voters) > 1:
        warnings.append("Configuration key controller.quorum.voters names several nodes, but the node works alone")


def _listeners(
    static: Mapping[str, str], values: Mapping[str, Value], host_name: str | None, warnings: list[str]
) -> tuple[Listener, ...]:
    advertised = cast("list[str] | None", values.get("advertised.listeners"))
    texts = cast("list[str] | None", values.get("listeners"))
    if texts is None and advertised is None:
        texts = [str(BROKER_KEYS["listeners"].default)]
    map_key = "listener.security.protocol.map"
    protocols = listening.protocol_map(static.get(map_key, BROKER_KEYS[map_key].default or ""))
    controllers = cast("list[str]", values.get("controller.listener.names", ["CONTROLLER"]))
    return listening.build(texts, advertised, protocols, controllers, host_name=host_name, warnings=warnings)
