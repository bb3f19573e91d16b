"""Ask about the node: versions, features, quorum, log directories, elections, reassignments, configuration."""

from __future__ import annotations

import struct

from barnabas.handlers.registry import ROUTES
from barnabas.protocol.api import APIS
from barnabas.protocol.messages import (
    alter_configs,
    incremental_alter_configs,
)
from barnabas.protocol.messages import (
    describe_quorum as quorum,
)
from barnabas.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from barnabas.protocol.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirTopic,
)
from barnabas.protocol.messages.api_versions import ApiVersionsRequest
from barnabas.protocol.messages.describe_cluster import DescribeClusterRequest
from barnabas.protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from barnabas.protocol.messages.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from barnabas.protocol.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from barnabas.protocol.messages.list_config_resources import ListConfigResourcesRequest
from barnabas.protocol.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)
from barnabas.protocol.messages.unregister_broker import UnregisterBrokerRequest
from barnabas.protocol.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest

from .session import CLOSED, Session

TOPIC, BROKER, LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


def versions(s: Session) -> None:
    """ApiVersions, and what closes a connection."""
    software = (("probe", "1.0"), ("", "1.0"), ("probe", ""), ("-probe", "1"), ("pro be", "1"), ("a.b-c", "1-"))
    for name, version in software:
        s.ask(f"versions, software {name!r} {version!r}", ApiVersionsRequest(name, version),
              only=lambda r: [r.error_code, len(r.api_keys) > 0])
    s.ask("versions, features", ApiVersionsRequest("probe", "1"),
          only=lambda r: [r.supported_features, r.finalized_features])
    s.ask("versions, ranges of what both serve", ApiVersionsRequest("probe", "1"),
          only=lambda r: [k for k in r.api_keys if k.api_key in ROUTES])
    for key, number in ((18, 5), (18, -1), (18, 32767), (0, 2), (3, 99), (3, -1), (999, 0), (-1, 0), (4, 0)):
        link = s.link()
        answer = link.raw(struct.pack(">hhih", key, number, 1, -1) + b"\x00" * 8)
        s.note(f"key {key} version {number}", answer if answer == CLOSED else answer[4:])
    for label, frame in (("empty", b""), ("short", b"\x00"), ("garbage", b"\xff" * 40), ("GET", b"GET / HTTP/1.1\r\n")):
        s.note(f"a frame, {label}", str(s.link().raw(frame)))
    for api in APIS.values():  # a body that is cut closes the connection
        if api.key in (0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 19, 20, 32):
            head = struct.pack(">hhih", api.key, api.max_version, 1, -1)
            s.note(f"{api.name}, cut", str(s.link().raw(head + b"\x00")))


def cluster(s: Session) -> None:
    """DescribeCluster, DescribeQuorum, UpdateFeatures, UnregisterBroker."""
    s.ask("cluster", DescribeClusterRequest())
    s.ask("cluster, with operations", DescribeClusterRequest(True))
    for kind in (2, 0, 7, -1):
        s.ask(f"cluster, endpoint type {kind}", DescribeClusterRequest(False, kind))
    s.ask("cluster, fenced too", DescribeClusterRequest(False, 1, True))

    def ask(label: str, *topics: tuple[str, list[int]]) -> None:
        data = [quorum.TopicData(name, [quorum.PartitionData(i) for i in parts]) for name, parts in topics]

        def only(r: quorum.DescribeQuorumResponse) -> list[object]:
            for t in r.topics:
                for p in t.partitions:
                    p.high_watermark = 0 if p.high_watermark >= 0 else -1
                    p.leader_epoch = 0
                    if p.error_code == 0:
                        p.observers = []
            return [r.error_code, r.error_message, r.topics]

        s.ask(f"quorum, {label}", quorum.DescribeQuorumRequest(data), only=only)

    ask("metadata", ("__cluster_metadata", [0]))
    ask("nothing")
    ask("another partition", ("__cluster_metadata", [1]))
    ask("both", ("__cluster_metadata", [0, 1]))
    ask("no partition", ("__cluster_metadata", []))
    ask("another topic", ("x", [0]))
    ask("two topics", ("__cluster_metadata", [0]), ("x", [0]))

    def feature(label: str, *updates: tuple[str, int, int], check: bool = True) -> None:
        keys = [FeatureUpdateKey(name, level, kind != 1, kind) for name, level, kind in updates]
        s.ask(f"features, {label}", UpdateFeaturesRequest(10_000, keys, check))

    feature("unknown, not only checked", ("no.such", 1, 1), check=False)
    if s.level != "low":  # version 0 cannot only check
        feature("nothing")
        feature("unknown", ("no.such", 1, 1))
        feature("too high", ("metadata.version", 999, 1))
        feature("too low", ("metadata.version", 1, 1))
        feature("negative", ("metadata.version", -1, 1))
        feature("as it is", ("metadata.version", 30, 1))
        feature("twice", ("metadata.version", 30, 1), ("metadata.version", 30, 1))
        feature("lower", ("metadata.version", 29, 1))
        feature("unknown kind of update", ("metadata.version", 30, 9))
        feature("good and unknown", ("metadata.version", 30, 1), ("no.such", 1, 1))
        feature("empty name", ("", 1, 1))
        feature("kraft", ("kraft.version", 1, 1))
    for broker in (99, -1):
        s.ask(f"unregister {broker}", UnregisterBrokerRequest(broker))


def replicas(s: Session) -> None:
    """Log directories, elections, reassignments."""
    name = s.topic("placed", 2)
    s.fill(name, b"x")  # a log directory is sure to hold what was written
    s.fill(name, b"x", partition=1)
    unknown = s.name("unknown")

    def dirs(label: str, *topics: tuple[str, list[int]]) -> None:
        s.ask(f"log dirs, {label}", DescribeLogDirsRequest([DescribableLogDirTopic(n, p) for n, p in topics]))

    dirs("one", (name, [0, 1]))
    dirs("nothing")
    dirs("unknown", (unknown, [0]))
    dirs("a partition too many", (name, [0, 7]))
    dirs("no partition", (name, []))
    dirs("twice", (name, [0, 0]), (name, [0]))
    for path in ("/nowhere", "", "relative"):
        for topic, parts in ((name, [0]), (unknown, [0]), (name, [9])):
            request = AlterReplicaLogDirsRequest([AlterReplicaLogDir(path, [AlterReplicaLogDirTopic(topic, parts)])])
            s.ask(f"move {topic} {parts} to {path!r}", request)
    s.ask("move nothing", AlterReplicaLogDirsRequest([]))

    def elect(label: str, *topics: tuple[str, list[int]], kind: int = 0) -> None:
        s.ask(f"elect, {label}", ElectLeadersRequest(kind, [TopicPartitions(n, p) for n, p in topics], 5000))

    elect("one", (name, [0]))
    elect("unclean", (name, [0]), kind=1)
    elect("unknown kind", (name, [0]), kind=7)
    elect("nothing")
    elect("unknown", (unknown, [0]))
    elect("a partition too many", (name, [0, 9, -1]))
    elect("no partition", (name, []))
    elect("twice", (name, [0, 0]))
    elect("a topic twice", (name, [0]), (name, [0]))
    s.ask("elect, everything", ElectLeadersRequest(0, None, 5000), only=lambda r: [
        r.error_code, [t for t in r.replica_election_results if t.topic == name]
    ])

    def reassign(label: str, *topics: tuple[str, int, list[int] | None]) -> None:
        asked = [ReassignableTopic(n, [ReassignablePartition(i, r)]) for n, i, r in topics]
        s.ask(f"reassign, {label}", AlterPartitionReassignmentsRequest(10_000, True, asked))

    reassign("nothing")
    reassign("to where it is", (name, 0, [1]))
    reassign("to an unknown broker", (name, 0, [9]))
    reassign("to two", (name, 0, [1, 9]))
    reassign("to -1", (name, 0, [-1]))
    reassign("to nobody", (name, 0, []))
    reassign("to one twice", (name, 0, [1, 1]))
    reassign("cancelled", (name, 0, None))
    reassign("cancelled, unknown topic", (unknown, 0, None))
    reassign("unknown topic", (unknown, 0, [1]))
    reassign("unknown partition", (name, 9, [1]))
    reassign("negative partition", (name, -1, [1]))
    reassign("a topic twice", (name, 0, [1]), (name, 1, [1]))
    s.ask("reassignments", ListPartitionReassignmentsRequest(5000, None))
    for topic, parts in ((name, [0]), (unknown, [0]), (name, [9])):
        asked = [ListPartitionReassignmentsTopics(topic, parts)]
        s.ask(f"reassignments of {topic} {parts}", ListPartitionReassignmentsRequest(5000, asked))
    s.ask("reassignments of nothing", ListPartitionReassignmentsRequest(5000, []))


def configs(s: Session) -> None:
    """DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, ListConfigResources."""
    name = s.topic("configured", 1, retention_ms="1000")
    unknown = s.name("unknown")

    def show(label: str, kind: int, resource: str, keys: list[str] | None, *, all_of_it: bool = True) -> None:
        request = DescribeConfigsRequest([DescribeConfigsResource(kind, resource, keys)], True, all_of_it)
        s.ask(f"configs, {label}", request)

    show("topic", TOPIC, name, None)
    show("one key", TOPIC, name, ["retention.ms"])
    show("an unknown key", TOPIC, name, ["no.such"])
    show("no key", TOPIC, name, [])
    show("unknown topic", TOPIC, unknown, None)
    show("empty topic", TOPIC, "", None)
    show("bad topic", TOPIC, "a b", None)
    show("broker", BROKER, "1", ["log.retention.ms", "num.io.threads", "log.cleanup.policy", "ssl.keystore.password"])
    show("default broker", BROKER, "", None)
    show("unknown broker", BROKER, "9", None)
    show("bad broker", BROKER, "x", None)
    show("group", GROUP, s.name("group"), None)
    show("empty group", GROUP, "", None)
    show("client metrics", CLIENT_METRICS, s.name("metrics"), None)
    show("empty client metrics", CLIENT_METRICS, "", None)
    for kind in (0, 1, 3, 99, -1):
        show(f"type {kind}", kind, "x", None)
    show("loggers of an unknown broker", LOGGER, "9", [])
    show("loggers of nobody", LOGGER, "", [])
    show("loggers of a bad broker", LOGGER, "x", [])
    twice = [DescribeConfigsResource(TOPIC, name, ["retention.ms"])] * 2
    s.ask("configs, twice", DescribeConfigsRequest(twice))
    s.ask("configs, nothing", DescribeConfigsRequest([]))

    def change(
        label: str, kind: int, resource: str, *operations: tuple[str, int, str | None], check: bool = False
    ) -> None:
        m = incremental_alter_configs
        asked = [m.AlterableConfig(key, operation, value) for key, operation, value in operations]
        resources = [m.AlterConfigsResource(kind, resource, asked)]
        s.ask(f"change, {label}", m.IncrementalAlterConfigsRequest(resources, check))

    change("set", TOPIC, name, ("retention.ms", SET, "2000"))
    change("set, only checked", TOPIC, name, ("retention.ms", SET, "3000"), check=True)
    s.settle()
    show("after that", TOPIC, name, ["retention.ms"])
    change("nothing", TOPIC, name)
    change("set to null", TOPIC, name, ("retention.ms", SET, None))
    change("set to empty", TOPIC, name, ("retention.ms", SET, ""))
    change("append", TOPIC, name, ("cleanup.policy", APPEND, "compact"))
    s.settle()
    show("after append", TOPIC, name, ["cleanup.policy"])
    change("append again", TOPIC, name, ("cleanup.policy", APPEND, "compact"))
    change("subtract", TOPIC, name, ("cleanup.policy", SUBTRACT, "delete"))
    s.settle()
    show("after subtract", TOPIC, name, ["cleanup.policy"])
    change("subtract what is not there", TOPIC, name, ("cleanup.policy", SUBTRACT, "delete"))
    change("append to no list", TOPIC, name, ("retention.ms", APPEND, "1"))
    change("subtract from no list", TOPIC, name, ("retention.ms", SUBTRACT, "1"))
    change("append to an unknown key", TOPIC, name, ("no.such", APPEND, "1"))
    change("delete", TOPIC, name, ("retention.ms", DELETE, None))
    change("delete again", TOPIC, name, ("retention.ms", DELETE, None))
    change("delete with a value", TOPIC, name, ("cleanup.policy", DELETE, "x"))
    change("delete an unknown key", TOPIC, name, ("no.such", DELETE, None))
    change("unknown key", TOPIC, name, ("no.such", SET, "1"))
    change("bad value", TOPIC, name, ("retention.ms", SET, "x"))
    change("below the minimum", TOPIC, name, ("max.message.bytes", SET, "-1"))
    change("a key twice", TOPIC, name, ("retention.ms", SET, "1"), ("retention.ms", SET, "2"))
    change("unknown operation", TOPIC, name, ("retention.ms", 7, "1"))
    change("negative operation", TOPIC, name, ("retention.ms", -1, "1"))
    change("unknown topic", TOPIC, unknown, ("retention.ms", SET, "1"))
    change("empty topic", TOPIC, "", ("retention.ms", SET, "1"))
    change("bad topic", TOPIC, "a b", ("retention.ms", SET, "1"))
    change("broker", BROKER, "1", ("log.cleaner.threads", SET, "1"), check=True)
    change("read-only of the broker", BROKER, "1", ("broker.rack", SET, "a"), check=True)
    change("default broker", BROKER, "", ("log.cleaner.threads", SET, "1"), check=True)
    change("listeners of the default broker", BROKER, "", ("listeners", SET, "PLAINTEXT://:1"), check=True)
    change("bad value of the broker", BROKER, "1", ("log.cleaner.threads", SET, "x"), check=True)
    change("unknown key of the broker", BROKER, "1", ("no.such", SET, "1"), check=True)
    change("unknown broker", BROKER, "9", ("log.cleaner.threads", SET, "1"), check=True)
    change("bad broker", BROKER, "x", ("log.cleaner.threads", SET, "1"), check=True)
    group = s.name("group")
    change("group", GROUP, group, ("consumer.session.timeout.ms", SET, "50000"), check=True)
    change("bad value of a group", GROUP, group, ("consumer.session.timeout.ms", SET, "x"), check=True)
    change("group out of range", GROUP, group, ("consumer.session.timeout.ms", SET, "1"), check=True)
    change("unknown key of a group", GROUP, group, ("no.such", SET, "1"), check=True)
    change("empty group", GROUP, "", ("consumer.session.timeout.ms", SET, "50000"), check=True)
    metrics = s.name("metrics")
    change("client metrics", CLIENT_METRICS, metrics, ("interval.ms", SET, "1000"), check=True)
    change("bad client metrics", CLIENT_METRICS, metrics, ("interval.ms", SET, "1"), check=True)
    change("bad match of client metrics", CLIENT_METRICS, metrics, ("match", SET, "x"), check=True)
    change("unknown key of client metrics", CLIENT_METRICS, metrics, ("no.such", SET, "1"), check=True)
    change("empty client metrics", CLIENT_METRICS, "", ("interval.ms", SET, "1000"), check=True)
    for kind in (0, 1, 3, 99):
        change(f"type {kind}", kind, "x", ("retention.ms", SET, "1"))
    change("loggers of nobody", LOGGER, "", ("root", SET, "INFO"), check=True)
    change("loggers of an unknown broker", LOGGER, "9", ("root", SET, "INFO"), check=True)
    change("an unknown logger", LOGGER, "1", ("no.such.logger", SET, "INFO"), check=True)
    change("an unknown level", LOGGER, "1", ("root", SET, "LOUD"), check=True)
    change("append to a logger", LOGGER, "1", ("root", APPEND, "INFO"), check=True)
    change("delete the root logger", LOGGER, "1", ("root", DELETE, None), check=True)
    m = incremental_alter_configs
    resource = m.AlterConfigsResource(TOPIC, name, [m.AlterableConfig("retention.ms", SET, "1")])
    s.ask("change, twice", m.IncrementalAlterConfigsRequest([resource, resource]))
    s.ask("change, no resource", m.IncrementalAlterConfigsRequest([]))

    def replace(label: str, kind: int, resource: str, *pairs: tuple[str, str | None], check: bool = False) -> None:
        m = alter_configs
        asked = [m.AlterConfigsResource(kind, resource, [m.AlterableConfig(k, v) for k, v in pairs])]
        s.ask(f"replace, {label}", m.AlterConfigsRequest(asked, check))

    replace("one", TOPIC, name, ("segment.ms", "5000"))
    s.settle()
    show("after replace", TOPIC, name, ["retention.ms", "segment.ms", "cleanup.policy"])
    replace("null value", TOPIC, name, ("segment.ms", None))
    replace("bad", TOPIC, name, ("segment.ms", "x"))
    replace("unknown key", TOPIC, name, ("no.such", "x"))
    replace("a key twice", TOPIC, name, ("segment.ms", "1000"), ("segment.ms", "2000"))
    replace("unknown topic", TOPIC, unknown, ("segment.ms", "5000"))
    replace("nothing", TOPIC, name)
    replace("unknown broker", BROKER, "9", ("log.cleaner.threads", "1"), check=True)
    replace("loggers", LOGGER, "1", ("root", "INFO"), check=True)
    replace("type 99", 99, "x", ("a", "1"))
    replace("empty group", GROUP, "", ("consumer.session.timeout.ms", "50000"), check=True)

    def only(r: object) -> object:
        found = [x for x in r.config_resources if s.nonce not in x.resource_name]  # type: ignore[attr-defined]
        return [r.error_code, [x for x in found if x.resource_type in (BROKER, LOGGER)]]  # type: ignore[attr-defined]

    for kinds in ([], [TOPIC], [BROKER], [LOGGER], [BROKER, LOGGER], [99], [0], [BROKER, 99]):
        s.ask(f"resources {kinds}", ListConfigResourcesRequest(kinds), only=only)


PROBES = (versions, cluster, replicas, configs)
