"""Ask about topics: create, extend, describe, delete, configure."""

from __future__ import annotations

from barnabas.protocol.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from barnabas.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from barnabas.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from barnabas.protocol.messages.describe_topic_partitions import Cursor, DescribeTopicPartitionsRequest, TopicRequest
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic

from .session import Session

UNKNOWN_ID = bytes(range(16))


def create(s: Session) -> None:
    """CreateTopics, good and bad."""

    def ask(label: str, *topics: CreatableTopic, validate: bool = False) -> None:
        s.ask(f"create, {label}", CreateTopicsRequest(list(topics), 10_000, validate))

    def one(short: str, partitions: int = 1, replicas: int = 1, **more: object) -> CreatableTopic:
        return CreatableTopic(s.name(short), partitions, replicas, **more)  # type: ignore[arg-type]

    ask("plain", one("plain"))
    ask("again", one("plain"))
    ask("again, only checked", one("plain"), validate=True)
    ask("only checked", one("checked", 3), validate=True)
    ask("defaults", one("defaults", -1, -1))
    ask("only checked, defaults", one("defaults2", -1, -1), validate=True)
    ask("nothing")
    ask("partitions 0", one("p0", 0))
    ask("partitions -2", one("p-2", -2))
    ask("partitions 100000", one("many", 100_000))
    ask("partitions 2147483647", one("most", 2**31 - 1))
    ask("replication factor 0", one("r0", 1, 0))
    ask("replication factor -2", one("r-2", 1, -2))
    ask("replication factor 2", one("r2", 1, 2))
    ask("replication factor 32767", one("r32767", 1, 32767))
    ask("a name twice", one("twice"), one("twice"))
    ask("a name twice beside a good one", one("twice"), one("twice"), one("beside"))
    ask("good and bad", one("good"), one("bad", 0), CreatableTopic("", 1, 1))
    for name in ("", ".", "..", "a b", "ä", "a/b", "x" * 249, "x" * 250, "new\nline"):
        ask(f"name {name[:9]!r} of {len(name)}", CreatableTopic(name, 1, 1), validate=True)
    dotted = CreatableTopic(s.name("collide.a"), 1, 1)
    ask("with a dot", dotted)
    ask("colliding", CreatableTopic(dotted.name.replace(".", "_"), 1, 1))
    ask("colliding in one request", CreatableTopic(s.name("cc.a"), 1, 1), CreatableTopic(s.name("cc_a"), 1, 1))
    ask("named __cluster_metadata", CreatableTopic("__cluster_metadata", 1, 1), validate=True)

    def assigned(
        short: str, *replicas: tuple[int, list[int]], partitions: int = -1, factor: int = -1
    ) -> CreatableTopic:
        return one(short, partitions, factor, assignments=[CreatableReplicaAssignment(i, r) for i, r in replicas])

    ask("assigned", assigned("a1", (0, [1]), (1, [1])))
    ask("assigned, only checked", assigned("a1b", (0, [1]), (1, [1])), validate=True)
    ask("assigned to an unknown broker", assigned("a2", (0, [0])))
    ask("assigned to -1", assigned("a2b", (0, [-1])))
    ask("assigned with a hole", assigned("a3", (0, [1]), (2, [1])))
    ask("assigned from 1", assigned("a4", (1, [1])))
    ask("assigned twice", assigned("a5", (0, [1]), (0, [1])))
    ask("assigned to nobody", assigned("a6", (0, [])))
    ask("assigned to one twice", assigned("a7", (0, [1, 1])))
    ask("assigned to two and one", assigned("a7b", (0, [1, 2]), (1, [1])))
    ask("assigned, with partitions", assigned("a8", (0, [1]), partitions=1))
    ask("assigned, with a factor", assigned("a9", (0, [1]), factor=1))
    ask("assigned, with both", assigned("a10", (0, [1]), partitions=1, factor=1))

    def configured(short: str, *pairs: tuple[str, str | None]) -> CreatableTopic:
        return one(short, configs=[CreatableTopicConfig(key, value) for key, value in pairs])

    ask("configured", configured("c1", ("retention.ms", "1000"), ("cleanup.policy", "compact,delete")))
    ask("unknown config", configured("c2", ("no.such.key", "1")))
    ask("two unknown configs", configured("c2b", ("no.such.key", "1"), ("nor.this", "2")))
    ask("bad number", configured("c3", ("retention.ms", "soon")))
    ask("below the minimum", configured("c4", ("segment.bytes", "1")))
    ask("bad choice", configured("c5", ("cleanup.policy", "forget")))
    ask("null value", configured("c6", ("retention.ms", None)))
    ask("empty value", configured("c7", ("retention.ms", "")))
    ask("a key twice", configured("c8", ("retention.ms", "1"), ("retention.ms", "2")))
    ask("an empty key", configured("c9", ("", "2")))
    lags = ("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "4")
    ask("max.compaction.lag below min", configured("c10", *lags))
    ask("remote storage", configured("c11", ("remote.storage.enable", "true")))
    ask("bad compression level", configured("c12", ("compression.type", "gzip"), ("compression.gzip.level", "77")))


def extend(s: Session) -> None:
    """CreatePartitions, good and bad."""
    name = s.topic("grow", 2)

    def ask(label: str, *topics: CreatePartitionsTopic, validate: bool = False) -> None:
        s.ask(f"extend, {label}", CreatePartitionsRequest(list(topics), 10_000, validate))

    def to(count: int, *replicas: list[int], topic: str = name) -> CreatePartitionsTopic:
        return CreatePartitionsTopic(
            topic, count, [CreatePartitionsAssignment(r) for r in replicas] if replicas else None
        )

    ask("nothing")
    ask("only checked", to(3), validate=True)
    ask("to as many", to(2))
    ask("to fewer", to(1))
    ask("to 0", to(0))
    ask("to -1", to(-1))
    # many more at once are not asked for: Kafka 4.3 answers UNKNOWN_SERVER_ERROR to 100,000 and dies of 2^31-1
    ask("by one", to(3))
    ask("unknown topic", to(3, topic=s.name("unknown")))
    ask("empty name", to(3, topic=""))
    ask("twice", to(4), to(5))
    ask("twice the same", to(4), to(4))
    ask("assigned", to(4, [1]))
    ask("an empty list of assignments", CreatePartitionsTopic(name, 6, []))
    ask("too few assignments", to(7, [1]))
    ask("too many assignments", to(5, [1], [1]))
    ask("to an unknown broker", to(5, [9]))
    ask("to nobody", to(5, []))
    ask("to one twice", to(5, [1, 1]))
    ask("to two, one unknown", to(5, [1, 9]))


def delete(s: Session) -> None:
    """DeleteTopics, good and bad, by name and by id."""
    names = [s.topic(f"gone{i}") for i in range(4)]
    ids = [s.ids[name] for name in names]

    def ask(label: str, *topics: tuple[str | None, bytes]) -> None:
        request = DeleteTopicsRequest([DeleteTopicState(n, i) for n, i in topics], [n or "" for n, _ in topics], 10_000)
        s.ask(f"delete, {label}", request)

    zero = bytes(16)
    ask("nothing")
    ask("unknown", (s.name("unknown"), zero))
    ask("empty name", ("", zero))
    ask("bad name", ("a b", zero))
    ask("neither name nor id", (None, zero))
    ask("name and id", (names[0], ids[0]))
    ask("unknown id", (None, UNKNOWN_ID))
    ask("twice", (names[0], zero), (names[0], zero))
    ask("by name and by id at once", (names[1], zero), (None, ids[1]))
    ask("unknown twice", (s.name("unknown"), zero), (s.name("unknown"), zero))
    ask("by name", (names[2], zero))
    ask("again", (names[2], zero))
    ask("by id", (None, ids[3]))
    ask("by id again", (None, ids[3]))
    ask("good and bad", (s.topic("gone9"), zero), (s.name("unknown"), zero))


def describe(s: Session) -> None:
    """Metadata and DescribeTopicPartitions."""
    name = s.topic("seen", 3)
    other = s.topic("seen2", 1)
    third = s.topic("seen3", 2)

    def ask(label: str, *topics: MetadataRequestTopic, create: bool = False, operations: bool = False) -> None:
        request = MetadataRequest(list(topics), create, operations, operations)
        s.ask(f"metadata, {label}", request)
        if not create:
            s.ask(f"metadata, {label}", request, version=9)

    def named(name: str | None, topic_id: bytes = bytes(16)) -> MetadataRequestTopic:
        return MetadataRequestTopic(topic_id, name)

    mine = {name, other, third}
    s.ask("metadata, everything", MetadataRequest(None),
          only=lambda r: [t for t in r.topics if t.name in mine])
    s.ask("metadata, nothing", MetadataRequest([]), only=lambda r: [t for t in r.topics if t.name in mine])
    ask("one", named(name))
    ask("one, with operations", named(name), operations=True)
    ask("twice", named(name), named(name))
    ask("two", named(name), named(other))
    ask("unknown", named(s.name("made")))
    ask("empty", named(""))
    for bad in ("a b", ".", "..", "x" * 250, "ä"):
        ask(f"bad name {bad[:4]!r}", named(bad))
        ask(f"bad name {bad[:4]!r}, to be created", named(bad), create=True)
    ask("good and bad", named(name), named("a b"), named(s.name("made")))
    ask("null name", named(None))
    ask("null name beside a good one", named(None), named(name))
    ask("by id", named(None, s.ids[name]))
    ask("by id, with a name", named(name, s.ids[name]))
    ask("by id, with another name", named(other, s.ids[name]))
    ask("unknown id", named(None, UNKNOWN_ID))
    ask("unknown id and good", named(None, UNKNOWN_ID), named(None, s.ids[name]))
    ask("id and name mixed", named(None, s.ids[name]), named(other))

    def page(label: str, *names: str, limit: int = 2000, cursor: Cursor | None = None) -> None:
        s.ask(f"describe, {label}", DescribeTopicPartitionsRequest([TopicRequest(n) for n in names], limit, cursor))

    page("one", name)
    page("twice", name, name)
    page("unknown", s.name("unknown"))
    page("bad name", "a b")
    page("empty name", "")
    page("two at a time", name, other, third, limit=2)
    page("limit 0", name, limit=0)
    page("limit -1", name, limit=-1)
    page("exactly", name, other, limit=3)
    page("from a cursor", name, other, third, cursor=Cursor(name, 1))
    page("from a cursor, limited", name, other, third, limit=3, cursor=Cursor(name, 1))
    page("from a cursor beyond the topic", name, other, cursor=Cursor(name, 7))
    page("from a cursor at the end", name, other, cursor=Cursor(name, 3))
    page("from a cursor of another topic", name, third, cursor=Cursor(other, 0))
    page("from a negative cursor", name, cursor=Cursor(name, -1))
    page("from an unknown topic", name, cursor=Cursor(s.name("rather"), 0))


PROBES = (create, extend, delete, describe)
