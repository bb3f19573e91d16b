"""Where the node listens and what it advertises."""

from __future__ import annotations

import pytest

from barnabas.config.definitions import ConfigException
from barnabas.config.listeners import Listener
from barnabas.config.properties import from_environment
from barnabas.config.server import ServerConfig


def listeners(**properties: str) -> tuple[Listener, ...]:
    named = {name.replace("_", "."): text for name, text in properties.items()}
    return ServerConfig.load(named, host_name="machine")[0].listeners


def refusal(**properties: str) -> str:
    with pytest.raises(ConfigException) as raised:
        listeners(**properties)
    return str(raised.value)


def test_without_any_setting_it_listens_on_loopback() -> None:
    assert listeners() == (Listener("PLAINTEXT", "localhost", 9092, "PLAINTEXT", "localhost", 9092, False),)


def test_an_empty_host_is_this_machine_alone() -> None:
    (one,) = listeners(listeners="plaintext://:19092")
    assert (one.name, one.host, one.port, one.advertised_host) == ("PLAINTEXT", "localhost", 19092, "localhost")


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_every_address_advertises_the_machine(host: str) -> None:
    (one,) = listeners(listeners=f"PLAINTEXT://{host}:9092")
    assert (one.host, one.advertised_host) == (host.strip("[]"), "machine")


def test_the_machines_own_name_is_asked_for_when_none_is_given() -> None:
    config, _ = ServerConfig.load({"listeners": "PLAINTEXT://0.0.0.0:9092"})
    assert config.listeners[0].advertised_host not in ("", "0.0.0.0")


def test_ipv6_addresses() -> None:
    for text in ("PLAINTEXT://[::1]:9092", "PLAINTEXT://::1:9092"):
        assert listeners(listeners=text)[0].host == "::1"


def test_advertised_addresses_and_controllers() -> None:
    broker, controller = listeners(
        listeners="PLAINTEXT://:9092,CONTROLLER://:9093",
        advertised_listeners="PLAINTEXT://broker.example:19092,CONTROLLER://broker.example:9093",
        controller_listener_names="CONTROLLER",
        listener_security_protocol_map="CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    )
    assert (broker.host, broker.port, broker.advertised_host, broker.advertised_port, broker.is_controller) == (
        "localhost",
        9092,
        "broker.example",
        19092,
        False,
    )
    assert controller.is_controller


def test_a_name_without_a_protocol_is_plaintext_with_a_warning() -> None:
    config, warnings = ServerConfig.load({"listeners": "INSIDE://:9092"})
    assert config.listeners[0].protocol == "PLAINTEXT"
    assert warnings == ["Listener INSIDE is not in listener.security.protocol.map; it is taken for PLAINTEXT"]


def test_ports_of_the_systems_choice_may_be_many() -> None:
    assert len(listeners(listeners="A://:0,B://:0", listener_security_protocol_map="A:PLAINTEXT,B:PLAINTEXT")) == 2


def test_one_port_for_both_families() -> None:
    text = "A://127.0.0.1:9092,B://[::1]:9092"
    assert len(listeners(listeners=text, listener_security_protocol_map="A:PLAINTEXT,B:PLAINTEXT")) == 2


def test_containers_that_only_say_what_they_advertise() -> None:
    environ = {"KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://kafka:9092,PLAINTEXT_HOST://localhost:9093"}
    config, warnings = ServerConfig.load(from_environment(environ))
    assert [(one.host, one.port, one.advertised_host) for one in config.listeners] == [
        ("0.0.0.0", 9092, "kafka"),
        ("0.0.0.0", 9093, "localhost"),
    ]
    assert any(warning.startswith("listeners is not set") for warning in warnings)


def test_advertising_loopback_alone_stays_on_loopback() -> None:
    assert listeners(advertised_listeners="PLAINTEXT://127.0.0.1:9095")[0].host == "localhost"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Configuration 'listeners' must not be empty. Valid values include: any non-empty value"),
        (",", "Configuration 'listeners' values must not be empty."),
        ("PLAINTEXT:9092", "Unable to parse PLAINTEXT:9092 to a broker endpoint"),
        ("PLAINTEXT://:x", "Unable to parse PLAINTEXT://:x to a broker endpoint"),
        ("://:9092", "Unable to parse ://:9092 to a broker endpoint"),
        ("PLAINTEXT://:99999", "A port must be between 0 and 65535"),
        ("A://:9092,B://:9092", "Each listener must have a different port"),
        ("A://127.0.0.1:9092,B://127.0.0.2:9092", "Each listener must have a different port"),
        ("A://:9092,a://:9093", "Each listener must have a different name"),
        ("CONTROLLER://:9093", "At least one listener must not be named in controller.listener.names"),
        ("SASL_SSL://:9092", "the protocol of listener SASL_SSL is not supported yet"),
        ("SSL://:9092", "the protocol of listener SSL is not supported yet"),
    ],
)
def test_refusals(text: str, words: str) -> None:
    message = refusal(listeners=text)
    assert words in message
    assert "listener" in message


def test_protocols() -> None:
    assert refusal(listener_security_protocol_map="A:FOO") == (
        "Invalid security protocol `FOO` defined in listener.security.protocol.map"
    )
    assert "is not of the form NAME:PROTOCOL" in refusal(listener_security_protocol_map="PLAINTEXT")


def test_advertised_refusals() -> None:
    assert refusal(advertised_listeners="PLAINTEXT://0.0.0.0:9092", listeners="PLAINTEXT://:9092") == (
        "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address."
    )
    unknown = refusal(listeners="PLAINTEXT://:9092", advertised_listeners="OTHER://x:9092")
    assert "OTHER is not among the listeners; the valid names are PLAINTEXT" in unknown
