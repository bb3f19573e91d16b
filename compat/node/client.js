// Drives kafkajs through a broker: node client.js HOST:PORT
//
// One printed line a step; the first wrong answer ends the program with exit code 1.

import { deepStrictEqual as equal, ok } from "node:assert";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import kafkajs from "kafkajs";

const { ConfigResourceTypes, Kafka, Partitioners, logLevel } = kafkajs;

const PARTITIONS = 3;
const UNKEYED = 30;
const KEYED = 60;
const KEYS = 12;
const TOTAL = UNKEYED + KEYED;
const COMMIT_AFTER = 40;
const TIMEOUT = 60_000;

const bootstrap = process.argv[2];
if (!bootstrap) {
  console.error("usage: node client.js HOST:PORT");
  process.exit(2);
}

const topic = `compat-node-${randomUUID().slice(0, 8)}`;
const kafka = new Kafka({ clientId: topic, brokers: [bootstrap], logLevel: logLevel.NOTHING });
const admin = kafka.admin();
const keyOf = (i) => `key-${i % KEYS}`;
const keyedValue = (i) => `键 ${i}`;

async function step(name, run) {
  const begun = performance.now();
  try {
    const said = await run();
    console.log(`ok   ${name} (${((performance.now() - begun) / 1000).toFixed(2)} s): ${said}`);
  } catch (error) {
    console.log(`FAIL ${name}: ${error.message}`);
    console.error(error);
    // Consumers of other steps may still run; the verdict does not wait for them.
    process.exit(1);
  }
}

async function eventually(condition, what) {
  const end = performance.now() + TIMEOUT;
  while (!(await condition())) {
    ok(performance.now() < end, `not within ${TIMEOUT / 1000} s: ${what}`);
    await sleep(50);
  }
}

/** Checks that the answers of a send go on at `ends`, and moves `ends` by the records that each partition got. */
function acknowledged(answers, ends, placed) {
  for (const { partition, errorCode, baseOffset } of answers) {
    equal(errorCode, 0);
    equal(Number(baseOffset), ends[partition], `base offset in ${partition}`);
    ends[partition] += placed[partition];
  }
}

/** Checks that `seen` is the whole topic: every value once under its key, partitions and keys in order. */
function whole(seen) {
  equal(seen.length, TOTAL, "records");
  const want = new Map();
  for (let i = 0; i < UNKEYED; i++) want.set(`plain ${i}`, null);
  for (let i = 0; i < KEYED; i++) want.set(keyedValue(i), keyOf(i));
  const got = new Map(seen.map(({ key, value }) => [value, key]));
  equal(new Map([...got].sort()), new Map([...want].sort()), "values and keys");
  const next = Array(PARTITIONS).fill(0);
  const last = new Map();
  for (const { partition, offset, key, value, source } of seen) {
    equal(offset, next[partition]++, `offset in ${partition}`);
    if (key === null) continue;
    const number = Number(value.slice(2));
    ok(number > (last.get(key) ?? -1), `order under ${key}`);
    last.set(key, number);
    equal(source, "compat", "header");
  }
}

/** Opens a consumer that collects what it reads and knows its assignment. */
async function member(groupId) {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 300, rebalanceTimeout: 10_000, maxWaitTimeInMs: 200 });
  const state = { consumer, partitions: [], seen: [] };
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    state.partitions = payload.memberAssignment[topic] ?? [];
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      if (state.full?.()) return; // a reader that had enough; it resumes later at its commit
      state.seen.push({
        partition,
        offset: Number(message.offset),
        key: message.key?.toString() ?? null,
        value: message.value.toString(),
        source: message.headers?.source?.toString(),
      });
    },
  });
  return state;
}

await step("create", async () => {
  await admin.connect();
  equal(await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS, replicationFactor: 1 }] }), true);
  await eventually(async () => (await admin.listTopics()).includes(topic), "the topic is listed");
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  equal(topics[0].partitions.length, PARTITIONS, "partitions");
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: ["cleanup.policy"] }],
  });
  equal(resources[0].configEntries.map((e) => [e.configName, e.configValue]), [["cleanup.policy", "delete"]]);
  return `${PARTITIONS} partitions`;
});

const ends = Array(PARTITIONS).fill(0);
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, idempotent: true });

await step("produce", async () => {
  await producer.connect();
  const placed = Array(PARTITIONS).fill(UNKEYED / PARTITIONS);
  const messages = Array.from({ length: UNKEYED }, (_, i) => ({ value: `plain ${i}`, partition: i % PARTITIONS }));
  acknowledged(await producer.send({ topic, messages, acks: -1 }), ends, placed);
  return `${UNKEYED} records, idempotent, partitions named`;
});

await step("produce with keys", async () => {
  const messages = Array.from({ length: KEYED }, (_, i) => ({
    key: keyOf(i),
    value: keyedValue(i),
    headers: { source: "compat" },
  }));
  const before = [...ends];
  const answers = await producer.send({ topic, messages, acks: -1 });
  await producer.disconnect();
  ok(answers.length > 1, "all keys on one partition");
  for (const { partition, offset, high } of await admin.fetchTopicOffsets(topic)) {
    equal(offset, high, "offset and high watermark");
    ends[partition] = Number(high);
  }
  for (const { partition, baseOffset } of answers) equal(Number(baseOffset), before[partition], "base offset");
  equal(ends.reduce((sum, end) => sum + end), TOTAL, "sum of end offsets");
  return `${KEYED} records, ${KEYS} keys on ${answers.length} partitions`;
});

await step("consume", async () => {
  const reader = await member(`${topic}-reader`);
  await eventually(() => reader.seen.length >= TOTAL, `${TOTAL} records`);
  await reader.consumer.disconnect();
  whole(reader.seen);
  const homes = new Map();
  for (const { key, partition } of reader.seen) {
    if (key !== null) equal(homes.get(key) ?? partition, partition, `partition of ${key}`);
    homes.set(key, partition);
  }
  return `${TOTAL} records, order, keys, headers right`;
});

await step("group", async () => {
  const all = [0, 1, 2];
  const first = await member(`${topic}-group`);
  await eventually(() => first.partitions.length === PARTITIONS, "the first member has all partitions");
  const second = await member(`${topic}-group`);
  const shared = () =>
    first.partitions.length > 0 &&
    second.partitions.length > 0 &&
    [...first.partitions, ...second.partitions].sort().join() === all.join();
  await eventually(shared, "two members share the partitions");
  const said = `alone 3, shared ${first.partitions.length}+${second.partitions.length}, alone again 3`;
  await second.consumer.disconnect();
  await eventually(() => first.partitions.length === PARTITIONS, "the first member has all partitions back");
  await first.consumer.disconnect();
  return said;
});

await step("commit and resume", async () => {
  const groupId = `${topic}-resume`;
  const first = await member(groupId);
  first.full = () => first.seen.length >= COMMIT_AFTER;
  await eventually(first.full, `${COMMIT_AFTER} records`);
  const marks = new Map(first.seen.map(({ partition, offset }) => [partition, String(offset + 1)]));
  const commits = [...marks].map(([partition, offset]) => ({ topic, partition, offset, metadata: "half way" }));
  await first.consumer.commitOffsets(commits);
  await first.consumer.disconnect();

  const [stored] = await admin.fetchOffsets({ groupId, topics: [topic] });
  for (const { partition, offset, metadata } of stored.partitions) {
    equal(offset, marks.get(partition) ?? "-1", `commit of partition ${partition}`);
    if (marks.has(partition)) equal(metadata, "half way", `metadata of partition ${partition}`);
  }
  const second = await member(groupId);
  await eventually(() => first.seen.length + second.seen.length >= TOTAL, "the rest");
  await second.consumer.disconnect();
  // Order within a partition, without a hole or a repeat, is what resuming at the commit means.
  whole([...first.seen, ...second.seen]);
  return `${first.seen.length} before, ${second.seen.length} after the commit`;
});

await step("delete", async () => {
  await admin.deleteTopics({ topics: [topic], timeout: TIMEOUT });
  await eventually(async () => !(await admin.listTopics()).includes(topic), "the topic is gone");
  await admin.deleteGroups(["reader", "group", "resume"].map((name) => `${topic}-${name}`));
  await admin.disconnect();
  return "topic and groups gone";
});
