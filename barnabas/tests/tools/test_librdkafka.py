"""The settings of Java's clients under librdkafka's names, and what librdkafka makes of them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from barnabas.embedded import Broker
from barnabas.tools.client_keys import unknown
from barnabas.tools.errors import ConfigError
from barnabas.tools.librdkafka import librdkafka_config
from barnabas.tools.settings import Settings

from .peers import Authority, SaslBroker, pem, pem_key, serving, tls_in_front
from .test_security import BEARER, PLAIN, settings
from .test_stores import JKS


def test_addresses_and_what_is_given_by_hand() -> None:
    how = Settings({"client.id": "me"}, "a:1,[::1]:2")
    config = librdkafka_config(how, client_id="other", enable_auto_commit=False)
    assert config == {"bootstrap.servers": "a:1,[::1]:2", "client.id": "other", "enable.auto.commit": False}


def test_a_producer_s_keys() -> None:
    how = settings(
        acks="all", batch_size="1", linger_ms="2", buffer_memory="33554432", compression_type="zstd",
        max_in_flight_requests_per_connection="3", retries="4", delivery_timeout_ms="5000", enable_idempotence="true",
        transactional_id="t", max_block_ms="1", max_request_size="2000000", key_serializer="a.B",
        metric_reporters="a.C", request_timeout_ms="1000", receive_buffer_bytes="-1",
    )
    config = librdkafka_config(how, kind="producer")
    assert config == {
        "bootstrap.servers": "localhost:1", "acks": "all", "batch.size": "1", "linger.ms": "2",
        "queue.buffering.max.kbytes": 32768, "compression.type": "zstd", "max.in.flight.requests.per.connection": "3",
        "retries": "4", "delivery.timeout.ms": "5000", "enable.idempotence": "true", "transactional.id": "t",
        "message.max.bytes": "2000000", "request.timeout.ms": "1000", "socket.receive.buffer.bytes": 0,
        "partitioner": "murmur2_random",
    }
    Producer(config)


def test_a_consumer_s_keys() -> None:
    how = settings(
        group_id="g", group_instance_id="i", group_protocol="CLASSIC", auto_offset_reset="none",
        isolation_level="read_committed", fetch_max_wait_ms="10", fetch_min_bytes="2", max_poll_interval_ms="70000",
        session_timeout_ms="10000", heartbeat_interval_ms="1000", request_timeout_ms="2000", max_poll_records="5",
        value_deserializer="a.B", client_rack="r",
        partition_assignment_strategy="org.apache.kafka.clients.consumer.RangeAssignor, "
        "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
    )
    config = librdkafka_config(how, kind="consumer")
    assert config == {
        "bootstrap.servers": "localhost:1", "group.id": "g", "group.instance.id": "i", "group.protocol": "classic",
        "auto.offset.reset": "error", "isolation.level": "read_committed", "fetch.wait.max.ms": "10",
        "fetch.min.bytes": "2", "max.poll.interval.ms": "70000", "session.timeout.ms": "10000",
        "heartbeat.interval.ms": "1000", "socket.timeout.ms": "2000", "client.rack": "r",
        "partition.assignment.strategy": "range",
    }
    Consumer(config).close()


@pytest.mark.parametrize(("classes", "name"), [
    ("org.apache.kafka.clients.consumer.RoundRobinAssignor", "roundrobin"),
    ("org.apache.kafka.clients.consumer.CooperativeStickyAssignor", "cooperative-sticky"),
])
def test_assignors(classes: str, name: str) -> None:
    config = librdkafka_config(settings(partition_assignment_strategy=classes), kind="consumer")
    assert config["partition.assignment.strategy"] == name
    with pytest.raises(ConfigError, match="has no partition assignor Mine"):
        librdkafka_config(settings(partition_assignment_strategy="a.Mine"), kind="consumer")


def test_unknown_keys_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    librdkafka_config(settings(acks="1", no_such_key="1", lingerms="2", interceptor_classes="a.B"), kind="consumer")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "WARN [Consumer] These configurations '[no.such.key, lingerms]' were supplied but are not used yet.",
        "WARN [Client] interceptor.classes names a class of Java and is ignored",
    ]
    assert unknown(["acks", "group.id", "ssl.truststore.location", "sasl.jaas.config", "bootstrap.controllers"]) == []


def test_records_land_where_java_puts_them() -> None:
    hashes = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536}  # of Kafka's own tests
    found = {}

    def delivered(error: object, message: object) -> None:
        assert error is None
        found[message.key().decode()] = message.partition()  # type: ignore[attr-defined]

    with Broker(properties={"num.partitions": "7"}) as broker:
        producer = Producer(librdkafka_config(Settings({}, broker.bootstrap), kind="producer"))
        for key in hashes:
            producer.produce("t", b"", key.encode(), on_delivery=delivered)
        assert producer.flush(20) == 0
    assert found == {key: (value & 0x7FFFFFFF) % 7 for key, value in hashes.items()}


def test_stores_become_pem(tmp_path: Path) -> None:
    path = tmp_path / "k.jks"
    path.write_bytes(JKS)
    how = settings(
        security_protocol="SSL", ssl_truststore_location=str(path), ssl_truststore_password="store-password",
        ssl_keystore_location=str(path), ssl_keystore_password="store-password", ssl_key_password="key-password",
        ssl_endpoint_identification_algorithm="", ssl_cipher_suites="TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    )
    config = librdkafka_config(how)
    assert config["security.protocol"] == "SSL"
    assert config["ssl.endpoint.identification.algorithm"] == "none"
    assert config["ssl.cipher.suites"] == "ECDHE-RSA-AES128-GCM-SHA256"
    assert str(config["ssl.ca.pem"]).count("BEGIN CERTIFICATE") == 2
    assert str(config["ssl.key.pem"]).startswith("-----BEGIN PRIVATE KEY")
    Producer(config | {"log_level": 0})


def test_librdkafka_speaks_tls_with_a_locked_key() -> None:
    authority = Authority()
    key, certificate = authority.issue("client")
    with Broker() as broker:
        port = int(broker.bootstrap.rpartition(":")[2])
        with serving(tls_in_front(port, authority, "localhost", client=True)) as tls:
            how = settings(
                tls, security_protocol="SSL", ssl_truststore_type="PEM", ssl_truststore_certificates=authority.pem,
                ssl_keystore_type="PEM", ssl_keystore_key=pem_key(key, "pw"), ssl_key_password="pw",
                ssl_keystore_certificate_chain=pem(certificate),
            )
            assert AdminClient(librdkafka_config(how, log_level=0)).list_topics(timeout=10).brokers


@pytest.mark.parametrize(("mechanism", "line"), [
    ("PLAIN", PLAIN), ("SCRAM-SHA-256", PLAIN), ("SCRAM-SHA-512", PLAIN), ("OAUTHBEARER", BEARER),
])
def test_librdkafka_logs_in(mechanism: str, line: str) -> None:
    peer = SaslBroker("secret", mechanism)
    with serving(peer) as port:
        how = settings(port, "127.0.0.1", security_protocol="SASL_PLAINTEXT", sasl_mechanism=mechanism,
                       sasl_jaas_config=line.format("secret"))
        client = AdminClient(librdkafka_config(how, log_level=0))
        if mechanism == "OAUTHBEARER":
            client.poll(1)  # where the token is made
        assert client.list_topics(timeout=10).brokers
    if mechanism == "OAUTHBEARER":
        claims = peer.seen[0].split(b".")[1]
        assert b'"sub": "alice"' in base64.urlsafe_b64decode(claims + b"==")


def test_librdkafka_cannot_log_in_with_a_delegation_token() -> None:
    how = settings(9, "127.0.0.1", security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-256",
                   sasl_jaas_config=PLAIN.format("secret").replace(";", " tokenauth=true;"))
    with pytest.raises(ConfigError, match="cannot log in with a delegation token"):
        librdkafka_config(how)
