"""Drive confluent-kafka (librdkafka) through a broker: ``confluent_client.py HOST:PORT``."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from journey import (
    COMMIT_AFTER,
    COMMIT_METADATA,
    HEADERS,
    KEYED,
    PARTITIONS,
    TIMEOUT,
    TOTAL,
    UNKEYED,
    Journey,
    Member,
    Mismatch,
    Seen,
    check,
    check_consumed,
    check_keyed_placement,
    check_offsets,
    check_rebalance,
    check_resumed,
    count_by_partition,
    equal,
    eventually,
    keyed_key,
    keyed_value,
    next_offsets,
    unkeyed_value,
)


def bytes_of(field: str | bytes | None) -> bytes:
    """Narrow what the library's stubs leave open."""
    return field.encode() if isinstance(field, str) else field or b""


def place(message: Message) -> tuple[int, int]:
    """Return partition and offset of a delivered record."""
    partition, offset = message.partition(), message.offset()
    assert partition is not None and offset is not None
    return partition, offset


def taken(message: Message) -> Seen:
    """Turn a consumed message into the tuple that the checks know."""
    key = message.key()
    headers = tuple((str(header[0]), bytes_of(header[1])) for header in message.headers() or ())
    return Seen(*place(message), None if key is None else bytes_of(key), bytes_of(message.value()), headers)


def read(consumer: Consumer, at_least: int) -> list[Seen]:
    """Consume in small steps until ``at_least`` records came."""
    seen: list[Seen] = []

    def enough() -> bool:
        for message in consumer.consume(10, timeout=0.5):
            if message.error():
                raise Mismatch(str(message.error()))
            seen.append(taken(message))
        return len(seen) >= at_least

    eventually(enough, f"{at_least} records")
    return seen


class Acknowledgements:
    """Delivery reports in the order of their arrival."""

    def __init__(self) -> None:
        self.placed: list[tuple[int, int]] = []
        self.keys: list[tuple[bytes, int]] = []

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            raise Mismatch(str(error))
        self.placed.append(place(message))
        self.keys.append((bytes_of(message.key()), place(message)[0]))


def main() -> None:
    journey = Journey("confluent-kafka")
    topic, servers = journey.topic, {"bootstrap.servers": journey.bootstrap}
    admin = AdminClient(dict(servers))

    def partitions_listed() -> int:
        topics = admin.list_topics(timeout=TIMEOUT).topics
        return len(topics[topic].partitions) if topic in topics else 0

    with journey.step("create") as say:
        for created in admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
            created.result(TIMEOUT)
        eventually(lambda: partitions_listed() > 0, "the topic is listed")
        equal(partitions_listed(), PARTITIONS, "partitions")
        say.append(f"{PARTITIONS} partitions")

    # librdkafka's own default partitioner sticks to one partition for a batch without keys and hashes keys by CRC32.
    producer = Producer(servers | {"linger.ms": 5, "enable.idempotence": True, "partitioner": "murmur2_random"})
    with journey.step("produce") as say:
        plain = Acknowledgements()
        for i in range(UNKEYED):
            producer.produce(topic, unkeyed_value(i), on_delivery=plain)
        equal(producer.flush(TIMEOUT), 0, "records left unsent")
        equal(len(plain.placed), UNKEYED, "acknowledgements")
        check_offsets(plain.placed, {})
        say.append(f"{UNKEYED} records, idempotent")

    with journey.step("produce with keys") as say:
        keyed = Acknowledgements()
        for i in range(KEYED):
            producer.produce(topic, keyed_value(i), key=keyed_key(i), headers=list(HEADERS), on_delivery=keyed)
        equal(producer.flush(TIMEOUT), 0, "records left unsent")
        check_offsets(keyed.placed, count_by_partition(plain.placed))
        say.append(check_keyed_placement(keyed.keys))

    fresh = servers | {"auto.offset.reset": "earliest", "enable.auto.commit": False}
    with journey.step("consume") as say:
        consumer = Consumer(fresh | {"group.id": f"{topic}-unused"})
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        ends = [consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=TIMEOUT) for p in range(PARTITIONS)]
        equal(sum(end[1] for end in ends if end), TOTAL, "sum of end offsets")
        say.append(check_consumed(read(consumer, TOTAL)))
        consumer.close()

    with journey.step("group") as say:

        def open_member() -> Member:
            member = Consumer(servers | {"group.id": journey.group, "heartbeat.interval.ms": 300})
            member.subscribe([topic])

            def poll() -> frozenset[int]:
                message = member.poll(0.1)
                check(message is None or not message.error(), f"poll: {message and message.error()}")
                return frozenset(partition.partition for partition in member.assignment())

            return Member(poll, member.close)

        say.append(check_rebalance(open_member))

    with journey.step("commit and resume") as say:

        def reopen() -> Consumer:
            consumer = Consumer(fresh | {"group.id": journey.resume_group})
            consumer.subscribe([topic])
            return consumer

        consumer = reopen()
        before = read(consumer, COMMIT_AFTER)
        marks = next_offsets(before)
        offsets = [TopicPartition(topic, p, o, metadata=COMMIT_METADATA) for p, o in marks.items()]
        for answer in consumer.commit(offsets=offsets, asynchronous=False) or []:
            check(answer.error is None, f"commit: {answer.error}")
        consumer.close()
        consumer = reopen()
        for stored in consumer.committed([TopicPartition(topic, p) for p in marks], timeout=TIMEOUT):
            want = (marks[stored.partition], COMMIT_METADATA)
            equal((stored.offset, stored.metadata), want, f"commit of partition {stored.partition}")
        say.append(check_resumed(before, marks, read(consumer, TOTAL - len(before))))
        consumer.close()

    with journey.step("delete") as say:
        for deleted in admin.delete_topics([topic]).values():
            deleted.result(TIMEOUT)
        eventually(lambda: partitions_listed() == 0, "the topic is gone")
        say.append("gone from the list")


if __name__ == "__main__":
    main()
