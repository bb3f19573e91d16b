"""The node's configuration: files as people have them, defaults, refusals, changes while it runs."""

from __future__ import annotations

import pytest

from barnabas.config.definitions import ConfigException
from barnabas.config.properties import parse_properties
from barnabas.config.server import ServerConfig

STOCK = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""


def load(**properties: str) -> tuple[ServerConfig, list[str]]:
    return ServerConfig.load({name.replace("_", "."): text for name, text in properties.items()})


def refusal(**properties: str) -> str:
    with pytest.raises(ConfigException) as raised:
        load(**properties)
    return str(raised.value)


def test_the_file_that_kafka_ships_loads_without_a_warning() -> None:
    config, warnings = ServerConfig.load(parse_properties(STOCK))
    assert warnings == []
    assert config.log_dirs == ("/tmp/kraft-combined-logs",)
    assert config.log_dir == "/tmp/kraft-combined-logs"
    assert [one.is_controller for one in config.listeners] == [False, True]
    assert config.original("log.retention.hours") == "168"
    assert config.original("log.retention.ms") is None


def test_without_a_file() -> None:
    config, warnings = load()
    assert warnings == []
    assert config.node_id == 1
    assert config.process_roles == ("broker", "controller")
    assert config.offsets_topic_replication_factor == 1
    assert config.transaction_state_log_replication_factor == config.transaction_state_log_min_isr == 1
    assert config.offsets_topic_num_partitions == 50
    assert config.auto_create_topics_enable is True
    assert config.group_initial_rebalance_delay_ms == 0
    assert config.log_retention_ms == 604800000
    assert config.log_flush_interval_ms == 2**63 - 1
    assert config.broker_rack is None
    assert config.get("log.retention.ms") is None
    assert config.get("no.such.key") is None


def test_a_file_from_the_days_of_zookeeper() -> None:
    config, warnings = load(broker_id="7", zookeeper_connect="localhost:2181", zookeeper_connection_timeout_ms="6000")
    assert config.node_id == 7
    assert config.get("node.id") == config.get("broker.id") == 7
    assert warnings == [
        "Configuration key zookeeper.connect belongs to clusters with ZooKeeper and has no effect",
        "Configuration key zookeeper.connection.timeout.ms belongs to clusters with ZooKeeper and has no effect",
    ]
    assert load(broker_id="-1")[0].node_id == 1


def test_what_has_no_effect_is_named() -> None:
    _, warnings = load(foo_bar="1", replica_fetch_max_bytes="5", listener_name_plaintext_max_connections="3")
    assert warnings == [
        "Configuration key foo.bar is not supported and has no effect",
        "Configuration key replica.fetch.max.bytes is not supported and has no effect",
        "Configuration key listener.name.plaintext.max.connections is not supported and has no effect",
    ]


def test_one_node_holds_one_replica() -> None:
    config, warnings = load(
        offsets_topic_replication_factor="3", default_replication_factor="3", transaction_state_log_min_isr="2"
    )
    assert config.offsets_topic_replication_factor == config.default_replication_factor == 1
    assert config.transaction_state_log_min_isr == 1
    assert config.original("default.replication.factor") == "3"
    assert len(warnings) == 3
    assert "offsets.topic.replication.factor is 3, but one node holds one replica: 1 is used" in warnings[0]


def test_roles() -> None:
    assert "process.roles" in refusal(process_roles="controller")
    assert load(process_roles="broker")[1]
    assert refusal(process_roles="foo") == (
        "Invalid value foo for configuration process.roles: String must be one of: broker, controller"
    )
    assert refusal(process_roles="") == (
        "Configuration 'process.roles' must not be empty. Valid values include: [broker, controller]"
    )


def test_several_voters_are_a_warning() -> None:
    assert load(controller_quorum_voters="1@a:1,2@b:2,3@c:3")[1] == [
        "Configuration key controller.quorum.voters names several nodes, but the node works alone"
    ]
    assert "{id}@{host}:{port}" in refusal(controller_quorum_voters="foo")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("num_partitions", "0", "Invalid value 0 for configuration num.partitions: Value must be at least 1"),
        ("num_partitions", "x", "Invalid value x for configuration num.partitions: Not a number of type INT"),
        ("node_id", "-1", "Invalid value -1 for configuration node.id: Value must be at least 0"),
        ("log_dirs", "/a,/b", "Invalid value /a,/b for configuration log.dirs: One directory is supported"),
        ("log_dirs", "", "Configuration 'log.dirs' must not be empty. Valid values include: any non-empty value"),
        ("log_retention_ms", "0", "log.retention.ms must be unlimited (-1) or, greater than or equal to 1"),
        ("log_retention_hours", "0", "log.retention.ms must be unlimited (-1) or, greater than or equal to 1"),
        ("log_roll_ms", "0", "log.roll.ms must be greater than or equal to 1"),
        ("log_roll_jitter_ms", "-1", "log.roll.jitter.ms must be greater than or equal to 0"),
        (
            "queued_max_request_bytes",
            "5",
            "queued.max.request.bytes must be larger or equal to socket.request.max.bytes",
        ),
        ("max_connections_per_ip", "0", "max.connections.per.ip can be set to zero only if"),
        ("max_connections_per_ip_overrides", "foo", "foo is not of the form HOST:NUMBER"),
        (
            "group_consumer_session_timeout_ms",
            "1",
            "group.consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
        ),
        (
            "group_consumer_heartbeat_interval_ms",
            "50000",
            "must be less than or equal to group.consumer.max.heartbeat.interval.ms",
        ),
        (
            "group_share_max_session_timeout_ms",
            "1",
            "group.share.max.session.timeout.ms must be greater than or equal to group.share.min.session.timeout.ms",
        ),
        ("group_consumer_migration_policy", "foo", "(case insensitive): DISABLED, DOWNGRADE, UPGRADE, BIDIRECTIONAL"),
        ("group_consumer_assignors", "foo", "Invalid value foo for configuration group.consumer.assignors"),
        ("group_coordinator_rebalance_protocols", "consumer", "Disabling the 'classic' protocol is not supported."),
        ("log_cleaner_dedupe_buffer_size", "1", "log.cleaner.dedupe.buffer.size must be at least 1MB"),
        # Keys without an effect are checked too, as Kafka does.
        ("quota_window_num", "0", "Invalid value 0 for configuration quota.window.num: Value must be at least 1"),
    ],
)
def test_refusals(name: str, text: str, words: str) -> None:
    assert words in refusal(**{name: text})


def test_both_ids_must_agree() -> None:
    assert refusal(node_id="1", broker_id="2") == "You must set `node.id` to the same value as `broker.id`."
    assert load(node_id="3", broker_id="3")[0].node_id == 3


def test_javas_names_of_kafkas_own_assignors() -> None:
    name = "org.apache.kafka.coordinator.group.assignor.RangeAssignor"
    assert load(group_consumer_assignors=name)[0].group_consumer_assignors == (name,)


def test_connection_limits_by_address() -> None:
    config, _ = load(max_connections_per_ip="0", max_connections_per_ip_overrides="127.0.0.1:5,[::1]:6")
    assert config.max_connections_per_ip == 0


def test_it_does_not_change() -> None:
    config, _ = load()
    with pytest.raises(AttributeError):
        config.num_partitions = 5
    with pytest.raises(AttributeError):
        del config.num_partitions
    assert config.num_partitions == 1


def test_changes_come_in_the_order_node_all_nodes_file_default() -> None:
    base, _ = load(log_retention_bytes="10", log_retention_hours="5")
    assert base.with_dynamic({}, {"log.retention.bytes": "20"}).log_retention_bytes == 20
    both = base.with_dynamic({"log.retention.bytes": "30"}, {"log.retention.bytes": "20"})
    assert both.log_retention_bytes == both.get("log.retention.bytes") == 30
    assert both.with_dynamic({}, {}).log_retention_bytes == 10
    assert base.log_retention_bytes == 10
    assert base.log_retention_ms == 18000000
    assert base.with_dynamic({}, {"log.retention.ms": "7"}).log_retention_ms == 7


def test_a_stored_change_that_is_not_allowed_any_more(caplog: pytest.LogCaptureFixture) -> None:
    base, _ = load()
    changed = base.with_dynamic({"message.max.bytes": "x", "log.retention.bytes": "5"}, {})
    assert (changed.message_max_bytes, changed.log_retention_bytes) == (1048588, 5)
    assert "Not a number of type INT" in caplog.text
