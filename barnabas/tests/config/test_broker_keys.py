"""The table of broker keys, against a running Apache Kafka 4.3.0 (its answers stand in `data`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import barnabas.config
from barnabas.config.broker import BROKER_KEYS, DEVIATING_DEFAULTS, find
from barnabas.config.definitions import ConfigType, answer_order
from barnabas.config.server import ServerConfig
from barnabas.config.settings import Settings

DATA = Path(__file__).parent / "data"


def lines(name: str) -> list[str]:
    return [line for line in (DATA / name).read_text("utf-8").splitlines() if not line.startswith("#")]


def test_the_table_is_kafkas() -> None:
    declared = []
    for key in BROKER_KEYS.values():
        default = DEVIATING_DEFAULTS.get(key.name, key.default)
        access = "*" if key.internal else "read_only" if key.read_only else "dynamic"
        declared.append(f"{key.name}|{key.type.name}|{'<none>' if default is None else default}|{access}")
    assert declared == lines("broker_keys.txt")


def test_deviating_defaults_do_deviate() -> None:
    assert all(BROKER_KEYS[name].default != theirs for name, theirs in DEVIATING_DEFAULTS.items())


def test_keys_that_kafka_demands() -> None:
    demanded = {name for name, key in BROKER_KEYS.items() if not key.has_default}
    assert demanded == {"node.id", "process.roles", "controller.listener.names"}


def test_the_order_of_answers_is_kafkas() -> None:
    names = [name for name, key in BROKER_KEYS.items() if not key.internal]
    assert answer_order(names, lambda _: False) == lines("answer_order.txt")


def test_what_has_an_effect_is_documented_and_nothing_else() -> None:
    for key in BROKER_KEYS.values():
        assert bool(key.documentation) == key.supported, key.name
        assert key.supported == key.documentation.endswith("."), key.name


def test_secrets_are_the_passwords() -> None:
    assert {key.type for key in BROKER_KEYS.values() if key.sensitive} == {ConfigType.PASSWORD}
    assert sum(key.sensitive for key in BROKER_KEYS.values()) == 10


def test_each_attribute_is_a_supported_key_of_its_type() -> None:
    config, _ = ServerConfig.load({})
    names = {name.replace(".", "_"): name for name in BROKER_KEYS}
    hints = get_type_hints(Settings)
    for attribute, hint in hints.items():
        value = getattr(config, attribute)
        assert BROKER_KEYS[names[attribute]].supported, attribute
        if getattr(hint, "__origin__", None) is tuple:
            assert isinstance(value, tuple), attribute
        else:
            assert isinstance(value, hint), attribute
    folded = {"listeners", "advertised.listeners", "listener.security.protocol.map", "broker.id"}
    folded |= {"log.roll.hours", "log.roll.jitter.hours", "log.retention.minutes", "log.retention.hours"}
    folded |= {"log.flush.scheduler.interval.ms", "inter.broker.listener.name", "security.inter.broker.protocol"}
    supported = {name for name, key in BROKER_KEYS.items() if key.supported}
    assert supported - {names[attribute] for attribute in hints} == folded


def test_overrides_for_one_listener_are_found() -> None:
    assert find("listener.name.plaintext.max.connections") is BROKER_KEYS["max.connections"]
    assert find("listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config") is BROKER_KEYS["sasl.jaas.config"]
    assert find("listener.name.plaintext") is None
    assert find("listener.name.plaintext.nothing") is None
    assert find("nothing") is None


def test_what_the_package_hands_on() -> None:
    assert sorted(barnabas.config.__all__) == [
        "BROKER_KEYS",
        "ConfigException",
        "ConfigKey",
        "ConfigRequestException",
        "ConfigType",
        "Listener",
        "ServerConfig",
        "TOPIC_KEYS",
        "TopicConfig",
        "validate_topic_configs",
    ]
    assert all(hasattr(barnabas.config, name) for name in barnabas.config.__all__)


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, barnabas.config as c; c.ServerConfig.load({}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "barnabas.config.server" in loaded
    assert not loaded & {"asyncio", "socket", "json", "decimal", "barnabas.config.documentation"}
