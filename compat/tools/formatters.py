#!/usr/bin/env python3
"""Show the internal topics of an Apache Kafka with Java's console consumer and with ours, and compare byte by byte.

    compat/tools/formatters.py ADDRESS_OF_KAFKA

Everything that coordinators write of is done first: transactions are committed, given up, and left to their time-out;
groups of the classic and of the new protocol read, commit, lose offsets, and are deleted; share groups take records,
refuse some, give some back. Then each topic is read with each formatter, its own and others, and both tools must print
the same and end with the same status.

The cluster must be one's own (what others write between the two readings would differ), and its internal topics must
have one partition each, for there is no order between partitions: --set offsets.topic.num.partitions=1, and likewise
transaction.state.log.num.partitions and share.coordinator.state.topic.num.partitions.
"""

from __future__ import annotations

import re
import sys
import time
import uuid
from typing import Any, Final

from fourway import Java
from transcript import Case, Tool, ours

#: what prints the records of which topics
_FORMATTERS: Final = {
    "OffsetsMessageFormatter": "__consumer_offsets",
    "GroupMetadataMessageFormatter": "__consumer_offsets",
    "ShareGroupMessageFormatter": "__consumer_offsets",
    "TransactionLogMessageFormatter": "__transaction_state",
    "group.share.ShareGroupStateMessageFormatter": "__share_group_state",
    "NoSuchFormatter": "",
}
_TOPICS: Final = ("__consumer_offsets", "__transaction_state", "__share_group_state")
_MORE: Final = (["--skip-message-on-error"], ["--isolation-level", "read_committed"])
_COUNT: Final = 20


def transact(broker: str, topic: str) -> None:
    """Commit a transaction, give one up, each with an offset, and let one run into its time-out."""
    from confluent_kafka import Consumer, Producer, TopicPartition

    reader = Consumer({"bootstrap.servers": broker, "group.id": f"{topic}-offsets"})
    producer = Producer({"bootstrap.servers": broker, "transactional.id": f"{topic}-äöü"})
    producer.init_transactions(30)
    for ends in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        for number in range(_COUNT):
            producer.produce(topic, str(number), partition=number % 2)
        offset = TopicPartition(topic, 0, 7, metadata='of a "transaction"')
        producer.send_offsets_to_transaction([offset], reader.consumer_group_metadata(), 30)
        ends(30)
    reader.close()
    late = Producer({"bootstrap.servers": broker, "transactional.id": f"{topic}-late", "transaction.timeout.ms": 1000})
    late.init_transactions(30)
    late.begin_transaction()
    late.produce(topic, "late", partition=0)
    late.flush(30)


def read(broker: str, topic: str, group: str, **more: Any) -> None:
    """Let a group read a topic, commit, and leave."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {"bootstrap.servers": broker, "group.id": group, "auto.offset.reset": "earliest", "client.id": "ä", **more}
    )
    consumer.subscribe([topic])
    found, deadline = 0, time.monotonic() + 40
    while found < _COUNT:
        message = consumer.poll(1)
        found += message is not None and message.error() is None
        if time.monotonic() > deadline:
            raise TimeoutError(f"no records for {group}")
    consumer.commit(asynchronous=False)
    consumer.commit(offsets=[TopicPartition(topic, 1, 3, metadata="é\n\u2028 \U0001f600")], asynchronous=False)
    consumer.close()


def prepare(broker: str) -> None:
    """Let coordinators write records of every kind."""

    def tool(*words: str) -> None:
        status, _, said = ours([words[0], "--bootstrap-server", broker, *words[1:]], Case("", ["seconds=60"]))
        if status:
            raise RuntimeError(f"{words}: {said}")

    topic = f"f{uuid.uuid4().hex[:7]}"
    tool("kafka-topics", "--create", "--topic", topic, "--partitions", "2")
    transact(broker, topic)
    read(broker, topic, f"{topic}-classic", **{"group.instance.id": "first"})
    read(broker, topic, f"{topic}-cooperative", **{"partition.assignment.strategy": "cooperative-sticky"})
    read(broker, topic, f"{topic}-consumer", **{"group.protocol": "consumer"})
    read(broker, topic, f"{topic}-gone")
    for group in (f"{topic}-share", f"{topic}-share no more"):
        tool("kafka-configs", "--alter", "--entity-type", "groups", "--entity-name", group, "--add-config",
             "share.auto.offset.reset=earliest")
        for how in ([], ["--reject"], ["--release"]):
            tool("kafka-console-share-consumer", "--topic", topic, "--group", group, "--max-messages", "3",
                 "--timeout-ms", "20000", *how)
    tool("kafka-consumer-groups", "--delete-offsets", "--group", f"{topic}-cooperative", "--topic", f"{topic}:0")
    tool("kafka-consumer-groups", "--delete", "--group", f"{topic}-gone")
    tool("kafka-share-groups", "--delete", "--group", f"{topic}-share no more")
    time.sleep(15)  # until the late transaction is given up, and delayed writes are done


def outcome(tool: Tool, words: list[str]) -> tuple[int, str]:
    """Return a tool's status and what it printed, without what Java's logging wrote behind the records."""
    status, out, _ = tool(words, Case("", ["seconds=60"]))
    return status, re.split(r"\d{4}-\d\d-\d\dT[\d:.]+Z main ERROR ", out)[0]


def main() -> int:
    broker = sys.argv[1]
    prepare(broker)
    reading = ["kafka-console-consumer", "--bootstrap-server", broker, "--partition", "0", "--offset", "earliest",
               "--timeout-ms", "2000"]
    java = Java()
    failed = 0
    try:
        outcome(java.run, [*reading, "--topic", _TOPICS[0]])  # the first one takes a JVM longer than that
        for name, home in _FORMATTERS.items():
            for topic in _TOPICS:
                for more in ([], *(_MORE if topic == home else ())):
                    shown_by = f"org.apache.kafka.tools.consumer.{name}"
                    words = [*reading, "--topic", topic, "--formatter", shown_by, *more]
                    theirs, mine = outcome(java.run, words), outcome(ours, words)
                    count, same = theirs[1].count('{"key":{"type"'), theirs == mine
                    if not same:
                        show(theirs, mine)
                    failed += not same or (topic == home and not count)
                    print(f"{name} {topic} {' '.join(more)}: {count} records, {'the same' if same else 'others'}",
                          flush=True)
    finally:
        java.close()
    print(f"{failed} failed" if failed else "passed")
    return 1 if failed else 0


def show(theirs: tuple[int, str], mine: tuple[int, str]) -> None:
    """Print two outcomes from where they begin to differ."""
    pairs = enumerate(zip(theirs[1], mine[1], strict=False))
    at = max(0, next((i for i, (a, b) in pairs if a != b), min(len(theirs[1]), len(mine[1]))) - 100)
    for who, (status, out) in (("java", theirs), ("ours", mine)):
        print(f"  {who}: status {status}, from character {at}: {out[at : at + 400]!r}")


if __name__ == "__main__":
    sys.exit(main())
