"""Drive aiokafka through a broker: ``aiokafka_client.py HOST:PORT``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import OffsetAndMetadata
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
    Seen,
    check,
    check_consumed,
    check_keyed_placement,
    check_offsets,
    check_resumed,
    count_by_partition,
    equal,
    keyed_key,
    keyed_value,
    next_offsets,
    shares,
    unkeyed_value,
)


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until ``condition`` holds, at most TIMEOUT seconds."""
    end = time.monotonic() + TIMEOUT
    while not await condition():
        check(time.monotonic() < end, f"not within {TIMEOUT:.0f} s: {what}")
        await asyncio.sleep(0.05)


async def read(consumer: AIOKafkaConsumer, at_least: int) -> list[Seen]:
    """Fetch in small steps until ``at_least`` records came."""
    seen: list[Seen] = []

    async def enough() -> bool:
        for records in (await consumer.getmany(timeout_ms=500, max_records=10)).values():
            seen.extend(Seen(r.partition, r.offset, r.key, r.value, tuple(r.headers)) for r in records)
        return len(seen) >= at_least

    await until(enough, f"{at_least} records")
    return seen


async def rebalance(journey: Journey) -> str:
    """Let one member take everything, a second one share, and the first take everything again when it leaves."""
    everything = frozenset(range(PARTITIONS))

    async def open_member() -> AIOKafkaConsumer:
        member = AIOKafkaConsumer(
            journey.topic, bootstrap_servers=journey.bootstrap, group_id=journey.group, heartbeat_interval_ms=300
        )
        await member.start()
        return member

    def held(member: AIOKafkaConsumer) -> frozenset[int]:
        return frozenset(partition.partition for partition in member.assignment())

    async def alone() -> bool:
        return held(first) == everything

    async def shared() -> bool:
        return shares(held(first), held(second))

    first = await open_member()
    await until(alone, "the first member has all partitions")
    second = await open_member()
    await until(shared, "two members share the partitions")
    detail = f"alone {PARTITIONS}, shared {len(held(first))}+{len(held(second))}, alone again {PARTITIONS}"
    await second.stop()
    await until(alone, "the first member has all partitions back")
    await first.stop()
    return detail


async def main() -> None:
    journey = Journey("aiokafka")
    topic, servers = journey.topic, journey.bootstrap
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)

    async def partitions_listed() -> int:
        if topic not in await admin.list_topics():
            return 0
        (described,) = await admin.describe_topics([topic])
        return len(described["partitions"])

    with journey.step("create") as say:
        await admin.start()
        answer = await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
        equal([(name, code) for name, code, *_ in answer.topic_errors], [(topic, 0)], "answer")

        async def listed() -> bool:
            return await partitions_listed() == PARTITIONS

        await until(listed, f"{PARTITIONS} partitions are listed")
        say.append(f"{PARTITIONS} partitions")

    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True, linger_ms=5)
    with journey.step("produce") as say:
        await producer.start()
        sent = [await producer.send(topic, unkeyed_value(i)) for i in range(UNKEYED)]
        plain = [(m.partition, m.offset) for m in await asyncio.gather(*sent)]
        check_offsets(plain, {})
        say.append(f"{len(plain)} records, idempotent")

    with journey.step("produce with keys") as say:
        headers = list(HEADERS)
        sent = [await producer.send(topic, keyed_value(i), key=keyed_key(i), headers=headers) for i in range(KEYED)]
        keyed = [(m.partition, m.offset) for m in await asyncio.gather(*sent)]
        check_offsets(keyed, count_by_partition(plain))
        say.append(check_keyed_placement([(keyed_key(i), partition) for i, (partition, _) in enumerate(keyed)]))
        await producer.stop()

    with journey.step("consume") as say:
        everything = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
        await consumer.start()
        consumer.assign(everything)
        equal(sum((await consumer.end_offsets(everything)).values()), TOTAL, "sum of end offsets")
        say.append(check_consumed(await read(consumer, TOTAL)))
        await consumer.stop()

    with journey.step("group") as say:
        say.append(await rebalance(journey))

    with journey.step("commit and resume") as say:

        async def reopen() -> AIOKafkaConsumer:
            consumer = AIOKafkaConsumer(
                topic,
                bootstrap_servers=servers,
                group_id=journey.resume_group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
            )
            await consumer.start()
            return consumer

        consumer = await reopen()
        before = await read(consumer, COMMIT_AFTER)
        marks = next_offsets(before)
        await consumer.commit({TopicPartition(topic, p): (offset, COMMIT_METADATA) for p, offset in marks.items()})
        await consumer.stop()
        stored = await admin.list_consumer_group_offsets(journey.resume_group)
        want = {TopicPartition(topic, p): OffsetAndMetadata(o, COMMIT_METADATA) for p, o in marks.items()}
        equal(stored, want, "stored commits")
        consumer = await reopen()
        say.append(check_resumed(before, marks, await read(consumer, TOTAL - len(before))))
        await consumer.stop()

    with journey.step("delete") as say:
        deleted = await admin.delete_topics([topic])
        equal(list(deleted.topic_error_codes), [(topic, 0)], "answer")

        async def gone() -> bool:
            return topic not in await admin.list_topics()

        await until(gone, "the topic is gone")
        say.append("gone from the list")
        await admin.close()


if __name__ == "__main__":
    asyncio.run(main())
