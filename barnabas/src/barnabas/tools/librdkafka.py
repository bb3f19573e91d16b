"""Translate the configuration of Kafka's Java clients to librdkafka's, for the tools that use confluent-kafka.

Without a `kind` what every client has is translated: addresses, names, time-outs, TLS and SASL; with one, also the keys
of Java's producers or consumers. Values are handed on as they are; `client_properties.py` checks them first, in Java's
words. Stores of Java become PEM texts. What means nothing outside Java (serializers, metrics, security providers,
Kerberos) is dropped; what would change what happens (interceptors, a partitioner of one's own) is dropped with a word
on standard error, and so is what no client knows. Producers always use Java's partitioner, `murmur2_random`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Literal

from barnabas.tools.client_keys import warn_unknown
from barnabas.tools.errors import ConfigError
from barnabas.tools.settings import Settings

if TYPE_CHECKING:
    from barnabas.tools.sasl import Login

Kind = Literal["producer", "consumer", "admin"]

#: keys of Java's clients, and librdkafka's names of them where they are others
_EVERY: Final[dict[str, str | None]] = {
    **dict.fromkeys((
        "client.dns.lookup", "client.id", "client.rack", "connections.max.idle.ms", "enable.metrics.push",
        "metadata.max.age.ms", "metadata.recovery.rebootstrap.trigger.ms", "metadata.recovery.strategy",
        "reconnect.backoff.max.ms", "reconnect.backoff.ms", "retry.backoff.max.ms", "retry.backoff.ms",
        "socket.connection.setup.timeout.ms",
    )),
    "receive.buffer.bytes": "socket.receive.buffer.bytes", "send.buffer.bytes": "socket.send.buffer.bytes",
}
_PRODUCER: Final[dict[str, str | None]] = {
    **dict.fromkeys((
        "acks", "batch.size", "compression.type", "delivery.timeout.ms", "enable.idempotence", "linger.ms",
        "max.in.flight.requests.per.connection", "request.timeout.ms", "retries", "transaction.timeout.ms",
        "transactional.id",
    )),
    "buffer.memory": "queue.buffering.max.kbytes", "max.request.size": "message.max.bytes",
}
_CONSUMER: Final[dict[str, str | None]] = {
    **dict.fromkeys((
        "allow.auto.create.topics", "auto.commit.interval.ms", "auto.offset.reset", "check.crcs", "enable.auto.commit",
        "fetch.max.bytes", "fetch.min.bytes", "group.id", "group.instance.id", "group.protocol",
        "group.remote.assignor", "heartbeat.interval.ms", "isolation.level", "max.partition.fetch.bytes",
        "max.poll.interval.ms", "partition.assignment.strategy", "session.timeout.ms",
    )),
    "fetch.max.wait.ms": "fetch.wait.max.ms", "request.timeout.ms": "socket.timeout.ms",
}
_OF_KIND: Final[dict[Kind, dict[str, str | None]]] = {
    "producer": _PRODUCER, "consumer": _CONSUMER, "admin": {"request.timeout.ms": "socket.timeout.ms"},
}
_ASSIGNORS: Final = {
    "RangeAssignor": "range", "RoundRobinAssignor": "roundrobin", "CooperativeStickyAssignor": "cooperative-sticky",
}
#: names of librdkafka that have no dots
_UNDERSCORED: Final = ("log_level", "logger", "error_cb", "oauth_cb", "on_commit", "stats_cb", "throttle_cb")
#: what would have changed what happens, and is told of
_NOT_OURS: Final = ("interceptor.classes", "partitioner.class", "sasl.login.class", "ssl.engine.factory.class")


def librdkafka_config(settings: Settings, *, kind: Kind | None = None, **more: object) -> dict[str, object]:
    """Return a configuration for confluent-kafka; `more` wins (underscores in its keys stand for dots).

    Raises `ConfigError` where TLS or SASL cannot be as the settings say.
    """
    warn_unknown(settings.properties, kind.capitalize() if kind else "Client")
    for key in _NOT_OURS:
        if settings.text(key):
            print(f"WARN [Client] {key} names a class of Java and is ignored", file=sys.stderr)
    config: dict[str, object] = {
        "bootstrap.servers": ",".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in settings.bootstrap)
    }
    names: dict[str, str | None] = {**_EVERY, **(_OF_KIND[kind] if kind else {})}
    for key, name in names.items():
        if key in settings.properties:
            config[name or key] = _value(key, settings.properties[key])
    if kind == "producer":
        config["partitioner"] = "murmur2_random"
    if settings.security_protocol != "PLAINTEXT":
        config["security.protocol"] = settings.security_protocol
        if settings.security_protocol.endswith("SSL"):
            config |= _tls(settings)
        if settings.security_protocol.startswith("SASL"):
            from barnabas.tools.sasl import login_of

            config |= _sasl(login_of(settings))
    config.update({key if key in _UNDERSCORED else key.replace("_", "."): value for key, value in more.items()})
    return config


def _value(key: str, text: str) -> object:
    value = text.strip()
    if key == "buffer.memory":
        return max(1, int(value) // 1024) if value.isdigit() else value
    if key in ("receive.buffer.bytes", "send.buffer.bytes"):
        return 0 if value == "-1" else value  # as the system likes it
    if key in ("group.protocol", "metadata.recovery.strategy") or value.lower() in ("true", "false"):
        return value.lower()
    if key == "auto.offset.reset" and value == "none":
        return "error"
    if key == "partition.assignment.strategy":
        classes = [name.strip().rpartition(".")[2] for name in value.split(",") if name.strip()]
        unknown = [name for name in classes if name not in _ASSIGNORS and name not in _ASSIGNORS.values()]
        if unknown:
            raise ConfigError(f"librdkafka has no partition assignor {', '.join(unknown)}")
        chosen = [_ASSIGNORS.get(name, name) for name in classes]
        # librdkafka does not mix eager and cooperative assignors, which Java's default does
        return ",".join(name for name in chosen if name != "cooperative-sticky") or (chosen or ["range"])[0]
    return value


def _tls(settings: Settings) -> dict[str, object]:
    from barnabas.tools.security import material, versions

    needs = material(settings)
    versions(settings, needs.suites)  # librdkafka takes what OpenSSL takes; a wrong name is refused all the same
    config: dict[str, object] = {"ssl.endpoint.identification.algorithm": "https" if needs.check_name else "none"}
    if needs.trust is not None:
        config["ssl.ca.pem"] = needs.trust
    if needs.identity is not None:
        config["ssl.key.pem"] = needs.identity.key
        config["ssl.certificate.pem"] = needs.identity.chain
        if needs.identity.password is not None:
            config["ssl.key.password"] = needs.identity.password
    suites = [name for name in needs.suites if not name.startswith("TLS_")]
    if suites:
        config["ssl.cipher.suites"] = ":".join(suites)
    return config


def _sasl(login: Login) -> dict[str, object]:
    config: dict[str, object] = {"sasl.mechanism": login.mechanism}
    if login.mechanism == "OAUTHBEARER":
        config["oauth_cb"] = lambda _: _token(login)
    elif login.options.get("tokenauth", "").lower() == "true":
        raise ConfigError(
            "tokenauth=true: librdkafka, which moves the records, cannot log in with a delegation token. Give a user "
            "and a password of this listener, or use a tool that only asks and changes (kafka-topics, ...)"
        )
    else:
        config |= {"sasl.username": login.options["username"], "sasl.password": login.options["password"]}
    return config


def _token(login: Login) -> tuple[str, float]:
    """Return a token and the time at which it ends, in seconds since 1970, as confluent-kafka wants them."""
    import time

    from barnabas.tools.sasl import lifetime, token

    now = time.time()
    return token(login.options, now), now + lifetime(login.options)
