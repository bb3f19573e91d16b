"""Changes of configuration while the node runs: what AlterConfigs and IncrementalAlterConfigs allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum

from barnabas.config.broker import BROKER_KEYS, DYNAMIC_ONLY_KEYS, base_name, find
from barnabas.config.checks import check_broker
from barnabas.config.definitions import (
    ConfigException,
    ConfigKey,
    ConfigRequestException,
    ConfigType,
    Scope,
    parse,
    render,
)
from barnabas.config.server import ServerConfig


class Operation(IntEnum):
    """Number what IncrementalAlterConfigs does with a key, as on the wire."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


def apply_operations(
    current: Mapping[str, str], operations: Iterable[tuple[Operation, str, str | None]], keys: Mapping[str, ConfigKey]
) -> dict[str, str]:
    """Give the own settings of a resource after incremental changes, not yet checked.

    APPEND and SUBTRACT start from the default where the resource has no setting; they work on lists alone. Raise
    ConfigRequestException for a null where a value is needed, ConfigException for a key that is no list.
    """
    changed = dict(current)
    asked = list(operations)
    nulls = [name for operation, name, text in asked if text is None and operation is not Operation.DELETE]
    if nulls:
        raise ConfigRequestException(nulls[0], None, sentence=f"Null value not supported for : {','.join(nulls)}")
    for operation, name, text in asked:
        if operation is Operation.DELETE:
            changed.pop(name, None)
        elif operation is Operation.SET:
            changed[name] = text or ""
        else:
            key = keys.get(name)
            if key is None or key.type is not ConfigType.LIST:
                sentence = f"Can't {operation.name} to key {name} because its type is not LIST."
                raise ConfigException(name, text, sentence=sentence)
            items = _items(changed.get(name, key.default or ""))
            given = _items(text or "")
            if operation is Operation.APPEND:
                items += [item for item in given if item not in items]
            else:
                items = [item for item in items if item not in given]
            changed[name] = ",".join(items)
    return changed


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")] if text.strip() else []


def validate_broker_configs(overrides: Mapping[str, str], server: ServerConfig, *, per_broker: bool) -> None:
    """Check the whole set of changes for this node (`per_broker`), or for all nodes.

    Names that Kafka does not know are let through, as Kafka does: plug-ins may read them. Raise
    ConfigRequestException, with Kafka's words.
    """
    fixed = [
        name for name in overrides
        if (name in _FIXED and (per_broker or not _needs_broker(name)))
        or (name in BROKER_KEYS and BROKER_KEYS[name].read_only)
    ]
    if fixed:
        _refuse(fixed, overrides, f"Cannot update these configs dynamically: [{', '.join(fixed)}]")
    if not per_broker:
        own = [name for name in overrides if _needs_broker(name)]
        if own:
            sentence = "Cannot update these configs at default cluster level, broker id must be specified"
            _refuse(own, overrides, f"{sentence}: [{', '.join(own)}]")
    security = [name for name in overrides if name.startswith("ssl.") and name in _LISTENER_ONLY]
    if security:
        sentence = "These security configs can be dynamically updated only per-listener using the listener prefix"
        _refuse(security, overrides, f"{sentence}: [{', '.join(security)}]")
    try:
        for name, text in overrides.items():
            if key := find(name) or DYNAMIC_ONLY_KEYS.get(name):
                parse(key, text)
        changed = (overrides, server.default) if per_broker else (server.per_broker, overrides)
        check_broker(server.with_dynamic(*changed))
    except ConfigException as error:
        raise ConfigRequestException(error.name, error.value, sentence=str(error)) from error


# Kafka opens and closes listeners while it runs; here they stay.
_FIXED = ("listeners", "listener.security.protocol.map")


def _needs_broker(name: str) -> bool:
    base = base_name(name)
    if base is not None:
        # Kafka lets the connection limits of a listener be set for all nodes, nothing else of a listener.
        return base not in ("max.connections", "max.connection.creation.rate", "num.network.threads")
    # The stores of keys and certificates are refused with a sentence of their own.
    return name in BROKER_KEYS and BROKER_KEYS[name].scope is Scope.PER_BROKER and name not in _LISTENER_ONLY


_LISTENER_ONLY = frozenset(
    f"ssl.{rest}"
    for rest in (
        "key.password",
        "keystore.certificate.chain",
        "keystore.key",
        "keystore.location",
        "keystore.password",
        "keystore.type",
        "truststore.certificates",
        "truststore.location",
        "truststore.password",
        "truststore.type",
    )
)


def _refuse(names: list[str], overrides: Mapping[str, str], sentence: str) -> None:
    raise ConfigRequestException(names[0], overrides[names[0]], sentence=sentence)


def rendered(key: ConfigKey, text: str) -> str | None:
    """Print a value's text as it reads once parsed: `[ +5]` becomes `5`."""
    return render(parse(key, text))
