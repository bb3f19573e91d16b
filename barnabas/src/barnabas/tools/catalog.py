"""List the scripts of Kafka's bin folder: what each is for, the module that does it, the Java classes that it replaces.

A module without a name does not exist yet; the script says so and ends with status 2.
"""

from __future__ import annotations

from typing import NamedTuple


class Script(NamedTuple):
    """Describe one script. `classes` are the names under which `kafka-run-class` knows it, today's first."""

    module: str | None
    summary: str
    classes: tuple[str, ...] = ()


SCRIPTS: dict[str, Script] = {
    "kafka-topics": Script(
        "topics", "create, delete, describe, or change a topic",
        ("org.apache.kafka.tools.TopicCommand", "kafka.admin.TopicCommand"),
    ),
    "kafka-console-producer": Script(
        "console_producer", "read lines from standard input and write them to a topic",
        ("org.apache.kafka.tools.ConsoleProducer", "kafka.tools.ConsoleProducer"),
    ),
    "kafka-console-consumer": Script(
        "console_consumer", "read records from topics and write them to standard output",
        ("org.apache.kafka.tools.consumer.ConsoleConsumer", "kafka.tools.ConsoleConsumer"),
    ),
    "kafka-console-share-consumer": Script(
        "console_share_consumer", "read records through a share group",
        ("org.apache.kafka.tools.consumer.ConsoleShareConsumer",),
    ),
    "kafka-consumer-groups": Script(
        "consumer_groups", "list, describe, delete consumer groups, and reset their offsets",
        ("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "kafka.admin.ConsumerGroupCommand"),
    ),
    "kafka-share-groups": Script(
        "share_groups", "list, describe, delete share groups, and reset their offsets",
        ("org.apache.kafka.tools.consumer.group.ShareGroupCommand",),
    ),
    "kafka-streams-groups": Script(
        "streams_groups", "list, describe, delete streams groups, and reset their offsets",
        ("org.apache.kafka.tools.streams.StreamsGroupCommand",),
    ),
    "kafka-groups": Script("groups", "list groups of every type", ("org.apache.kafka.tools.GroupsCommand",)),
    "kafka-configs": Script(
        "configs", "describe and change configurations of topics, brokers, users, clients, groups",
        ("kafka.admin.ConfigCommand", "org.apache.kafka.tools.ConfigCommand"),
    ),
    "kafka-client-metrics": Script(
        "client_metrics", "describe and change what metrics clients are asked for",
        ("org.apache.kafka.tools.ClientMetricsCommand",),
    ),
    "kafka-get-offsets": Script(
        "get_offsets", "show the offsets of partitions",
        ("org.apache.kafka.tools.GetOffsetShell", "kafka.tools.GetOffsetShell"),
    ),
    "kafka-delete-records": Script(
        "delete_records", "delete the records before an offset",
        ("org.apache.kafka.tools.DeleteRecordsCommand", "kafka.admin.DeleteRecordsCommand"),
    ),
    "kafka-log-dirs": Script(
        "log_dirs", "show how much the log directories of brokers hold",
        ("org.apache.kafka.tools.LogDirsCommand", "kafka.admin.LogDirsCommand"),
    ),
    "kafka-broker-api-versions": Script(
        "broker_api_versions", "show which APIs brokers serve, in which versions",
        ("org.apache.kafka.tools.BrokerApiVersionsCommand", "kafka.admin.BrokerApiVersionsCommand"),
    ),
    "kafka-cluster": Script(
        "cluster_tool", "show the cluster's id and endpoints, unregister a broker",
        ("org.apache.kafka.tools.ClusterTool", "kafka.tools.ClusterTool"),
    ),
    "kafka-features": Script(
        "features", "describe, upgrade, downgrade and disable features",
        ("org.apache.kafka.tools.FeatureCommand", "kafka.admin.FeatureCommand"),
    ),
    "kafka-leader-election": Script(
        "leader_election", "elect leaders of partitions",
        ("org.apache.kafka.tools.LeaderElectionCommand", "kafka.admin.LeaderElectionCommand"),
    ),
    "kafka-reassign-partitions": Script(
        "reassign_partitions", "move replicas between brokers",
        ("org.apache.kafka.tools.reassign.ReassignPartitionsCommand", "kafka.admin.ReassignPartitionsCommand"),
    ),
    "kafka-metadata-quorum": Script(
        "metadata_quorum", "describe and change the metadata quorum",
        ("org.apache.kafka.tools.MetadataQuorumCommand", "kafka.admin.MetadataQuorumCommand"),
    ),
    "kafka-transactions": Script(
        "transactions", "list, describe and end transactions", ("org.apache.kafka.tools.TransactionsCommand",)
    ),
    "kafka-acls": Script(
        "acls", "list, add and remove access control lists",
        ("org.apache.kafka.tools.AclCommand", "kafka.admin.AclCommand"),
    ),
    "kafka-delegation-tokens": Script(
        "delegation_tokens", "create, renew, expire and describe delegation tokens",
        ("org.apache.kafka.tools.DelegationTokenCommand", "kafka.admin.DelegationTokenCommand"),
    ),
    "kafka-replica-verification": Script(
        "replica_verification", "compare the replicas of topics",
        ("org.apache.kafka.tools.ReplicaVerificationTool", "kafka.tools.ReplicaVerificationTool"),
    ),
    "kafka-streams-application-reset": Script(
        "streams_application_reset", "reset the topics and offsets of a streams application",
        ("org.apache.kafka.tools.StreamsResetter", "kafka.tools.StreamsResetter"),
    ),
    "kafka-producer-perf-test": Script(
        "producer_perf_test", "measure how fast records can be produced",
        ("org.apache.kafka.tools.ProducerPerformance",),
    ),
    "kafka-consumer-perf-test": Script(
        "consumer_perf_test", "measure how fast records can be consumed",
        ("org.apache.kafka.tools.ConsumerPerformance", "kafka.tools.ConsumerPerformance"),
    ),
    "kafka-e2e-latency": Script(
        "e2e_latency", "measure the time from producer to consumer",
        ("org.apache.kafka.tools.EndToEndLatency", "kafka.tools.EndToEndLatency"),
    ),
    "kafka-verifiable-producer": Script(
        "verifiable_producer", "produce rising numbers and report each as JSON",
        ("org.apache.kafka.tools.VerifiableProducer",),
    ),
    "kafka-verifiable-consumer": Script(
        "verifiable_consumer", "consume and report everything as JSON", ("org.apache.kafka.tools.VerifiableConsumer",)
    ),
    "kafka-server-start": Script("server_start", "start a broker", ("kafka.Kafka",)),
    "kafka-server-stop": Script("server_stop", "stop the brokers of this machine", ()),
    "kafka-storage": Script("storage", "format and inspect data directories", ("kafka.tools.StorageTool",)),
    "kafka-dump-log": Script(
        "dump_log", "show what the files of a log hold",
        ("org.apache.kafka.tools.DumpLogSegments", "kafka.tools.DumpLogSegments"),
    ),
    "kafka-metadata-shell": Script(
        "metadata_shell", "look around in the metadata of a cluster", ("org.apache.kafka.shell.MetadataShell",)
    ),
    "kafka-run-class": Script("run_class", "run a tool by the name of its Java class", ()),
    "kafka-jmx": Script(
        "jmx", "show the metrics of a broker under their MBean names",
        ("org.apache.kafka.tools.JmxTool", "kafka.tools.JmxTool"),
    ),
    "connect-standalone": Script(
        None, "run Kafka Connect in one process", ("org.apache.kafka.connect.cli.ConnectStandalone",)
    ),
    "connect-distributed": Script(
        None, "run a worker of a Kafka Connect cluster", ("org.apache.kafka.connect.cli.ConnectDistributed",)
    ),
    "connect-plugin-path": Script(
        None, "list and migrate the plugins of Kafka Connect", ("org.apache.kafka.tools.ConnectPluginPath",)
    ),
    "connect-mirror-maker": Script(
        None, "copy topics between clusters", ("org.apache.kafka.connect.mirror.MirrorMaker",)
    ),
    "trogdor": Script(
        None, "inject faults into a cluster under test",
        ("org.apache.kafka.trogdor.agent.Agent", "org.apache.kafka.trogdor.coordinator.Coordinator"),
    ),
}


def script_of(name: str) -> str | None:
    """Return the script that a command names: `kafka-topics.sh`, `kafka-topics` and `topics` are the same."""
    plain = name.removesuffix(".exe").removesuffix(".sh").removesuffix(".bat")
    for candidate in (plain, f"kafka-{plain}"):
        if candidate in SCRIPTS:
            return candidate
    return None
