"""Translate the configuration of Kafka's Java clients to librdkafka's, for the tools that use confluent-kafka."""

from __future__ import annotations

from barnabas.tools.settings import Settings


def librdkafka_config(settings: Settings, **more: object) -> dict[str, object]:
    """Return a configuration for confluent-kafka; `more` wins (underscores in its keys stand for dots)."""
    config: dict[str, object] = {
        "bootstrap.servers": ",".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in settings.bootstrap)
    }
    config.update({key.replace("_", "."): value for key, value in more.items()})
    return config
