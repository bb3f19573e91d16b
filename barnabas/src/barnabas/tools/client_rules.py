"""Know what values the keys of Java's producers and consumers take, and refuse others in Java's words.

The tables follow the order of Java's own (`ProducerConfig.configDef`, `ConsumerConfig.configDef` of Apache Kafka 4.3):
of several wrong values the first one there is told of. A row is a key, a kind, and what is allowed: the least number
and the largest, or the words. Keys whose every value is fine stand in `client_keys.py` alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from barnabas.tools.errors import ConfigError

_PRODUCER: Final = """
client.dns.lookup words use_all_dns_ips resolve_canonical_bootstrap_servers_only
buffer.memory LONG 0
retries INT 0
acks words all -1 0 1
compression.type words none gzip snappy lz4 zstd
compression.gzip.level gzip
compression.lz4.level INT 1 17
compression.zstd.level INT -131072 22
batch.size INT 0
partitioner.adaptive.partitioning.enable BOOLEAN
partitioner.availability.timeout.ms LONG 0
partitioner.ignore.keys BOOLEAN
linger.ms LONG 0
delivery.timeout.ms INT 0
send.buffer.bytes INT -1
receive.buffer.bytes INT -1
max.request.size INT 0
reconnect.backoff.ms LONG 0
reconnect.backoff.max.ms LONG 0
retry.backoff.ms LONG 0
retry.backoff.max.ms LONG 0
enable.metrics.push BOOLEAN
max.block.ms LONG 0
request.timeout.ms INT 0
metadata.max.age.ms LONG 0
metadata.max.idle.ms LONG 5000
metrics.sample.window.ms LONG 0
metrics.num.samples INT 1
metrics.recording.level words INFO DEBUG TRACE
metric.reporters LIST
max.in.flight.requests.per.connection INT 1
socket.connection.setup.timeout.ms LONG
socket.connection.setup.timeout.max.ms LONG
connections.max.idle.ms LONG
partitioner.class CLASS
interceptor.classes LIST
"""
_AFTER_PRODUCER: Final = """
enable.idempotence BOOLEAN
transaction.timeout.ms INT
transactional.id filled
transaction.two.phase.commit.enable BOOLEAN
"""
_CONSUMER: Final = """
client.dns.lookup words use_all_dns_ips resolve_canonical_bootstrap_servers_only
group.instance.id filled
session.timeout.ms INT
heartbeat.interval.ms INT
partition.assignment.strategy LIST
metadata.max.age.ms LONG 0
enable.auto.commit BOOLEAN
auto.commit.interval.ms INT 0
max.partition.fetch.bytes INT 0
send.buffer.bytes INT -1
receive.buffer.bytes INT -1
fetch.min.bytes INT 0
fetch.max.bytes INT 0
fetch.max.wait.ms INT 0
reconnect.backoff.ms LONG 0
reconnect.backoff.max.ms LONG 0
retry.backoff.ms LONG 0
retry.backoff.max.ms LONG 0
enable.metrics.push BOOLEAN
auto.offset.reset reset
check.crcs BOOLEAN
metrics.sample.window.ms LONG 0
metrics.num.samples INT 1
metrics.recording.level words INFO DEBUG TRACE
metric.reporters LIST
request.timeout.ms INT 0
default.api.timeout.ms INT 0
socket.connection.setup.timeout.ms LONG
socket.connection.setup.timeout.max.ms LONG
connections.max.idle.ms LONG
interceptor.classes LIST
max.poll.records INT 1
max.poll.interval.ms INT 1
exclude.internal.topics BOOLEAN
internal.throw.on.fetch.stable.offset.unsupported BOOLEAN
isolation.level words read_committed read_uncommitted
allow.auto.create.topics BOOLEAN
group.protocol Words CONSUMER CLASSIC
"""
_AFTER_CONSUMER: Final = """
share.acknowledgement.mode either implicit explicit
share.acquire.mode either batch_optimized record_limit
"""
_SECURITY: Final = """
security.protocol Words SASL_SSL PLAINTEXT SSL SASL_PLAINTEXT
ssl.cipher.suites LIST
ssl.enabled.protocols LIST
ssl.engine.factory.class CLASS
sasl.kerberos.ticket.renew.window.factor DOUBLE
sasl.kerberos.ticket.renew.jitter DOUBLE
sasl.kerberos.min.time.before.relogin LONG
sasl.login.refresh.window.factor DOUBLE 0.5 1.0
sasl.login.refresh.window.jitter DOUBLE 0.0 0.25
sasl.login.refresh.min.period.seconds SHORT 0 900
sasl.login.refresh.buffer.seconds SHORT 0 3600
sasl.client.callback.handler.class CLASS
sasl.login.callback.handler.class CLASS
sasl.login.class CLASS
sasl.login.connect.timeout.ms INT
sasl.login.read.timeout.ms INT
sasl.login.retry.backoff.max.ms LONG
sasl.login.retry.backoff.ms LONG
sasl.oauthbearer.jwt.retriever.class CLASS
sasl.oauthbearer.jwt.validator.class CLASS
sasl.oauthbearer.assertion.algorithm Words ES256 RS256
sasl.oauthbearer.assertion.claim.exp.seconds INT 0 86400
sasl.oauthbearer.assertion.claim.jti.include BOOLEAN
sasl.oauthbearer.assertion.claim.nbf.seconds INT 0 3600
sasl.oauthbearer.jwks.endpoint.refresh.ms LONG
sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms LONG
sasl.oauthbearer.jwks.endpoint.retry.backoff.ms LONG
sasl.oauthbearer.clock.skew.seconds INT
sasl.oauthbearer.expected.audience LIST
sasl.oauthbearer.header.urlencode BOOLEAN
"""
_LAST: Final = """
metadata.recovery.strategy Words REBOOTSTRAP NONE
metadata.recovery.rebootstrap.trigger.ms LONG 0
config.providers LIST
"""
_TABLES: Final = {
    "producer": _PRODUCER + _SECURITY + _AFTER_PRODUCER + _LAST,
    "consumer": _CONSUMER + _SECURITY + _LAST + _AFTER_CONSUMER,
}
_BITS: Final = {"SHORT": 15, "INT": 31, "LONG": 63}
_NUMBER: Final = re.compile(r"[+-]?[0-9]+")
_DURATION: Final = re.compile(
    r"by_duration:P(?=.)([0-9]+D)?(T(?=.)([0-9]+H)?([0-9]+M)?([0-9]+([.,][0-9]{0,9})?S)?)?", re.IGNORECASE
)
#: the class of Java's partitioners that Apache Kafka brings along
_PARTITIONER: Final = "org.apache.kafka.clients.producer.RoundRobinPartitioner"


def check_all(properties: Mapping[str, str], what: str) -> None:
    """Check the properties of a "producer" or a "consumer". Raises `ConfigError` for the first that is wrong."""
    for row in _TABLES[what].split("\n"):
        key, _, rule = row.partition(" ")
        if key and key in properties:
            kind, *allowed = rule.split(" ")
            check(kind, key, properties[key], allowed)


def check(kind: str, key: str, text: str, allowed: list[str]) -> Any:
    """Check one value. Raises `ConfigError` in Java's words."""
    value = text.strip()
    wrong = _number(kind, value, allowed) if kind in (*_BITS, "DOUBLE", "gzip") else _word(kind, key, value, allowed)
    if wrong.startswith("Configuration "):
        raise ConfigError(wrong)
    if wrong:
        shown = str(float(value)) if kind == "DOUBLE" and "Value" in wrong else text
        if kind != "DOUBLE" and "Value must" in wrong:
            shown = str(int(value))
        raise ConfigError(f"Invalid value {shown} for configuration {key}: {wrong}")


def _number(kind: str, value: str, allowed: list[str]) -> str:
    """Say what is wrong with a number; nothing if it is fine."""
    named = "INT" if kind == "gzip" else kind
    try:
        if kind != "DOUBLE" and not _NUMBER.fullmatch(value):
            raise ValueError
        number = float(value) if kind == "DOUBLE" else int(value)
    except ValueError:
        return f"Not a number of type {named}"
    if kind == "gzip":
        allowed = []
    if named in _BITS and not -(1 << _BITS[named]) <= number < 1 << _BITS[named]:
        return f"Not a number of type {named}"
    if kind == "gzip" and number != -1 and not 1 <= number <= 9:
        return "Value must be between 1 and 9 or equal to -1"
    if allowed and number < float(allowed[0]):
        return f"Value must be at least {allowed[0]}"
    if len(allowed) > 1 and number > float(allowed[1]):
        return f"Value must be no more than {allowed[1]}"
    return ""


def _word(kind: str, key: str, value: str, allowed: list[str]) -> str:
    """Say what is wrong with what is no number; nothing if it is fine."""
    if kind == "BOOLEAN" and value.lower() not in ("true", "false"):
        return "Expected value to be either true or false"
    if kind == "words" and value not in allowed:
        return f"String must be one of: {', '.join(allowed)}"
    if kind == "Words" and value.upper() not in allowed:
        return f"String must be one of (case insensitive): {', '.join(allowed)}"
    if kind == "either" and value.lower() not in allowed:
        choice = "' or '".join(allowed)
        return f"Invalid value `{value}` for configuration {key}. The value must either be '{choice}'."
    if kind == "filled" and not value:
        return "String must be non-empty"
    if kind == "reset" and value not in ("latest", "earliest", "none") and not _DURATION.fullmatch(value):
        return (
            f"Invalid value `{value}` for configuration {key}. The value must be either 'earliest', 'latest', 'none' "
            "or of the format 'by_duration:<PnDTnHnMn.nS.>'."
        )
    if kind == "LIST" and value and not all(part.strip() for part in value.split(",")):
        return f"Configuration '{key}' values must not be empty."
    if kind == "CLASS" and (value != _PARTITIONER if key == "partitioner.class" else not _may_be_kafkas(value)):
        return f"Class {value} could not be found."
    return ""


def _may_be_kafkas(name: str) -> bool:
    """Tell whether a class can be one that Java's tools have: there is no JVM to ask."""
    return name.startswith(("org.apache.kafka.", "java.", "javax."))


def missing_class(properties: Mapping[str, str]) -> str:
    """Return the first reporter or interceptor that Java's tools do not have, else nothing."""
    for key in ("metric.reporters", "interceptor.classes"):
        for name in properties.get(key, "").split(","):
            if name.strip() and not _may_be_kafkas(name.strip()):
                return name.strip()
    return ""
