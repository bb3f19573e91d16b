"""The vocabulary in which the tables of keys are written: types, checks, `used` and `known`."""

from __future__ import annotations

from functools import cache

from barnabas.config.definitions import ConfigException, ConfigKey, ConfigType, ListOf, Range, Scope, Validator, Value
from barnabas.config.units import CHAINS

BOOLEAN = ConfigType.BOOLEAN
STRING = ConfigType.STRING
INT = ConfigType.INT
SHORT = ConfigType.SHORT
LONG = ConfigType.LONG
DOUBLE = ConfigType.DOUBLE
LIST = ConfigType.LIST
CLASS = ConfigType.CLASS
PASSWORD = ConfigType.PASSWORD
PER_BROKER = Scope.PER_BROKER
CLUSTER_WIDE = Scope.CLUSTER_WIDE
READ_ONLY = Scope.READ_ONLY

INT_MAX = "2147483647"
LONG_MAX = "9223372036854775807"
CODECS = ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")
ANY_LIST = ListOf()
FILLED_LIST = ListOf(empty=False)


def used(
    name: str, kind: ConfigType, default: str | None, check: Validator | None = None, scope: Scope = READ_ONLY
) -> ConfigKey:
    """Declare a key that has an effect."""
    return ConfigKey(name, kind, default, check, scope, CHAINS.get(name, (name,)), True, name not in _REQUIRED)


def known(
    name: str, kind: ConfigType, default: str | None, check: Validator | None = None, scope: Scope = READ_ONLY
) -> ConfigKey:
    """Declare a key that is accepted and described but has no effect."""
    return ConfigKey(name, kind, default, check, scope, (name,))


def hidden(name: str, kind: ConfigType, default: str | None, check: Validator | None = None) -> ConfigKey:
    """Declare a key that Kafka keeps to itself: accepted, described only where it is set."""
    return ConfigKey(name, kind, default, check, READ_ONLY, (name,), name in _USED_HIDDEN, internal=True)


# Kafka starts only with these named; a node without a properties file has defaults for them here.
_REQUIRED = frozenset(("process.roles", "node.id", "controller.listener.names"))
_USED_HIDDEN = frozenset(
    (
        "log.initial.task.delay.ms",
        "producer.id.expiration.check.interval.ms",
        "group.consumer.regex.refresh.interval.ms",
    )
)


@cache
def at_least(low: int) -> Validator:
    """Allow numbers from `low` on."""
    return Range(low)


def between(low: float, high: float) -> Validator:
    """Allow numbers from `low` to `high`."""
    return Range(low, high)


def not_empty(name: str, value: Value) -> None:
    """Refuse an empty text."""
    if value == "":
        raise ConfigException(name, value, "String must be non-empty")


def gzip_level(name: str, value: Value) -> None:
    """Allow 1 to 9 and -1, which leaves the choice to the library."""
    if isinstance(value, int) and value != -1 and not 1 <= value <= 9:
        raise ConfigException(name, value, "Value must be between 1 and 9 or equal to -1")


def throttled_replicas(name: str, value: Value) -> None:
    """Allow `*`, or partition:broker pairs."""
    items = value if isinstance(value, list) else [str(value)]
    import re

    if items and items != ["*"] and not all(re.fullmatch(r"\d+:\d+", item) for item in items):
        form = "[partitionId]:[brokerId],[partitionId]:[brokerId],..."
        hint = f"{name} must be the literal '*' or a list of replicas in the following format: {form}"
        raise ConfigException(name, f"[{', '.join(items)}]", hint)


def quorum_voters(name: str, value: Value) -> None:
    """Allow a list of id@host:port."""
    import re

    for voter in value if isinstance(value, list) else ():
        if not re.fullmatch(r"\d+@.+:\d+", voter):
            sentence = (
                f"Invalid configuration value for {name}. Each entry should be in the form `{{id}}@{{host}}:{{port}}`."
            )
            raise ConfigException(name, voter, sentence=sentence)


def quorum_servers(name: str, value: Value) -> None:
    """Allow a list of host:port."""
    import re

    for server in value if isinstance(value, list) else ():
        if not re.fullmatch(r".+:\d+", server):
            sentence = (
                f"Failed to parse host name from {server} for the configuration {name}. "
                'Each entry should be in the form "{host}:{port}"'
            )
            raise ConfigException(name, server, sentence=sentence)


def offset_reset(name: str, value: Value) -> None:
    """Allow earliest, latest, and by_duration with an ISO 8601 duration that is not negative."""
    from barnabas.config.durations import parse_duration

    text = str(value)
    if text in ("earliest", "latest"):
        return
    try:
        allowed = text.startswith("by_duration:") and parse_duration(text.removeprefix("by_duration:")) >= 0
    except ValueError:
        allowed = False
    if not allowed:
        hint = (
            f"Invalid value `{text}` for configuration {name}. The value must be either 'earliest', 'latest' "
            "or of the format 'by_duration:<PnDTnHnMn.nS>'."
        )
        raise ConfigException(name, text, hint)
