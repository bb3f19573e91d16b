"""Drive kafka-python 3 through a broker: ``kafka_python_client.py HOST:PORT``."""

from __future__ import annotations

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
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import NewTopic


def read(consumer: KafkaConsumer, at_least: int) -> list[Seen]:
    """Poll until ``at_least`` records came."""
    seen: list[Seen] = []

    def enough() -> bool:
        for records in consumer.poll(timeout_ms=500).values():
            seen.extend(Seen(r.partition, r.offset, r.key, r.value, tuple(r.headers)) for r in records)
        return len(seen) >= at_least

    eventually(enough, f"{at_least} records")
    return seen


def main() -> None:
    journey = Journey("kafka-python")
    topic, servers = journey.topic, journey.bootstrap
    everything = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
    admin = KafkaAdminClient(bootstrap_servers=servers)

    with journey.step("create") as say:
        admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1)])
        admin.wait_for_topics([topic])
        check(topic in admin.list_topics(), "the topic is not listed")
        (described,) = admin.describe_topics([topic])
        equal(len(described["partitions"]), PARTITIONS, "partitions")
        say.append(f"{PARTITIONS} partitions")

    producer = KafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=5)
    with journey.step("produce") as say:
        sent = [producer.send(topic, unkeyed_value(i)) for i in range(UNKEYED)]
        plain = [(m.partition, m.offset) for m in (future.get(timeout=TIMEOUT) for future in sent)]
        check_offsets(plain, {})
        say.append(f"{len(plain)} records")

    with journey.step("produce with keys") as say:
        sent = [producer.send(topic, keyed_value(i), key=keyed_key(i), headers=list(HEADERS)) for i in range(KEYED)]
        keyed = [(m.partition, m.offset) for m in (future.get(timeout=TIMEOUT) for future in sent)]
        check_offsets(keyed, count_by_partition(plain))
        say.append(check_keyed_placement([(keyed_key(i), partition) for i, (partition, _) in enumerate(keyed)]))
    producer.close()

    with journey.step("consume") as say:
        consumer = KafkaConsumer(bootstrap_servers=servers, group_id=None, auto_offset_reset="earliest")
        consumer.assign(everything)
        equal(sum(consumer.end_offsets(everything).values()), TOTAL, "sum of end offsets")
        say.append(check_consumed(read(consumer, TOTAL)))
        consumer.close()

    with journey.step("group") as say:

        def open_member() -> Member:
            member = KafkaConsumer(topic, bootstrap_servers=servers, group_id=journey.group, heartbeat_interval_ms=300)

            def poll() -> frozenset[int]:
                # with polls of 100 ms kafka-python 3.0 now and then forgets its group under load, on Apache Kafka too
                member.poll(timeout_ms=1000)
                return frozenset(partition.partition for partition in member.assignment())

            return Member(poll, member.close)

        say.append(check_rebalance(open_member))

    with journey.step("commit and resume") as say:

        def reopen() -> KafkaConsumer:
            return KafkaConsumer(
                topic,
                bootstrap_servers=servers,
                group_id=journey.resume_group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                max_poll_records=10,
            )

        consumer = reopen()
        before = read(consumer, COMMIT_AFTER)
        marks = next_offsets(before)
        consumer.commit({TopicPartition(topic, p): OffsetAndMetadata(o, COMMIT_METADATA, -1) for p, o in marks.items()})
        consumer.close()
        consumer = reopen()
        for partition, offset in marks.items():
            stored = consumer.committed(TopicPartition(topic, partition), metadata=True)
            equal((stored.offset, stored.metadata), (offset, COMMIT_METADATA), f"commit of partition {partition}")
        say.append(check_resumed(before, marks, read(consumer, TOTAL - len(before))))
        consumer.close()

    with journey.step("delete") as say:
        admin.delete_topics([topic])
        eventually(lambda: topic not in admin.list_topics(), "the topic is gone")
        say.append("gone from the list")
    admin.close()


if __name__ == "__main__":
    main()
