package barnabas.compat;

import static barnabas.compat.Steps.check;
import static barnabas.compat.Steps.equal;
import static barnabas.compat.Steps.eventually;
import static barnabas.compat.Steps.step;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Drives the Java client through a broker: {@code Client HOST:PORT [classic|consumer]}.
 *
 * <p>The second argument is the group protocol: classic (the default) or the consumer protocol of KIP-848.
 */
public final class Client {
    private static final int PARTITIONS = 3;
    private static final int UNKEYED = 30;
    private static final int KEYED = 60;
    private static final int KEYS = 12;
    private static final int TOTAL = UNKEYED + KEYED;
    private static final int COMMIT_AFTER = 40;
    private static final byte[] HEADER = "compat".getBytes(StandardCharsets.UTF_8);

    private final String bootstrap;
    private final String protocol;
    private final String topic = "compat-java-" + UUID.randomUUID().toString().substring(0, 8);
    private final List<TopicPartition> everything =
        IntStream.range(0, PARTITIONS).mapToObj(p -> new TopicPartition(topic, p)).toList();

    private Client(String bootstrap, String protocol) {
        this.bootstrap = bootstrap;
        this.protocol = protocol;
    }

    public static void main(String[] args) {
        if (args.length < 1 || args.length > 2) {
            System.err.println("usage: Client HOST:PORT [classic|consumer]");
            System.exit(2);
        }
        new Client(args[0], args.length == 2 ? args[1] : "classic").run();
    }

    private void run() {
        try (Admin admin = Admin.create(config(Map.of()))) {
            step("create", () -> create(admin));
            try (var producer = new KafkaProducer<>(
                    config(Map.of("acks", "all", "linger.ms", "5")), new StringSerializer(), new StringSerializer())) {
                Map<Integer, Long> ends = new HashMap<>();
                step("produce", () -> produce(producer, ends));
                step("produce with keys", () -> produceWithKeys(producer, ends));
            }
            step("consume", this::consume);
            step("group", this::group);
            step("commit and resume", () -> commitAndResume(admin));
            step("delete", () -> delete(admin));
        }
    }

    private Properties config(Map<String, String> more) {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.putAll(more);
        return config;
    }

    private Properties groupConfig(String group) {
        Properties config = config(Map.of(
            "group.id", group, "group.protocol", protocol, "enable.auto.commit", "false",
            "auto.offset.reset", "earliest", "max.poll.records", "10"));
        // The heartbeat interval is the broker's to set under the consumer protocol.
        if (protocol.equals("classic")) config.put("heartbeat.interval.ms", "300");
        return config;
    }

    private KafkaConsumer<String, String> consumer(Properties config) {
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    private static String keyOf(int index) {
        return "key-" + index % KEYS;
    }

    private static String keyedValue(int index) {
        return "键 " + index;
    }

    private String create(Admin admin) throws Exception {
        var created = admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1)));
        created.all().get();
        equal(created.numPartitions(topic).get(), PARTITIONS, "partitions in the answer");
        eventually(() -> listed(admin), "the topic is listed");
        var described = admin.describeTopics(List.of(topic)).topicNameValues().get(topic).get();
        equal(described.partitions().size(), PARTITIONS, "partitions");
        equal(described.topicId(), created.topicId(topic).get(), "topic id");
        return PARTITIONS + " partitions, id " + described.topicId();
    }

    private boolean listed(Admin admin) {
        try {
            return admin.listTopics().names().get().contains(topic);
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    /** Checks that each partition's offsets go on at {@code ends}, and moves {@code ends}. */
    private void acknowledged(List<Future<RecordMetadata>> sent, Map<Integer, Long> ends) throws Exception {
        for (Future<RecordMetadata> future : sent) {
            RecordMetadata metadata = future.get();
            equal(metadata.offset(), ends.getOrDefault(metadata.partition(), 0L), "offset in " + metadata.partition());
            ends.put(metadata.partition(), metadata.offset() + 1);
        }
    }

    private String produce(KafkaProducer<String, String> producer, Map<Integer, Long> ends) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int i = 0; i < UNKEYED; i++) sent.add(producer.send(new ProducerRecord<>(topic, "plain " + i)));
        acknowledged(sent, ends);
        return UNKEYED + " records, idempotent";
    }

    private String produceWithKeys(KafkaProducer<String, String> producer, Map<Integer, Long> ends) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int i = 0; i < KEYED; i++) {
            var record = new ProducerRecord<>(topic, keyOf(i), keyedValue(i));
            record.headers().add("source", HEADER).add("none", null);
            sent.add(producer.send(record));
        }
        acknowledged(sent, ends);
        Map<String, Set<Integer>> homes = new HashMap<>();
        for (int i = 0; i < KEYED; i++) {
            homes.computeIfAbsent(keyOf(i), key -> new HashSet<>()).add(sent.get(i).get().partition());
        }
        homes.forEach((key, partitions) -> equal(partitions.size(), 1, "partitions of " + key));
        long used = homes.values().stream().flatMap(Set::stream).distinct().count();
        check(used > 1, "all keys on one partition");
        return KEYED + " records, " + KEYS + " keys on " + used + " partitions";
    }

    private String consume() throws InterruptedException {
        try (var consumer = consumer(config(Map.of("enable.auto.commit", "false")))) {
            consumer.assign(everything);
            consumer.seekToBeginning(everything);
            long sum = consumer.endOffsets(everything).values().stream().mapToLong(Long::longValue).sum();
            equal(sum, (long) TOTAL, "sum of end offsets");
            List<ConsumerRecord<String, String>> seen = read(consumer, TOTAL);
            whole(seen);
            return seen.size() + " records, order, keys, headers right";
        }
    }

    private static List<ConsumerRecord<String, String>> read(KafkaConsumer<String, String> consumer, int atLeast)
            throws InterruptedException {
        List<ConsumerRecord<String, String>> seen = new ArrayList<>();
        eventually(() -> {
            consumer.poll(Duration.ofMillis(500)).forEach(seen::add);
            return seen.size() >= atLeast;
        }, atLeast + " records");
        return seen;
    }

    /** Checks that {@code seen} is the whole topic, each partition and each key in order. */
    private static void whole(List<ConsumerRecord<String, String>> seen) {
        equal(seen.size(), TOTAL, "records");
        Map<String, String> want = new HashMap<>();
        for (int i = 0; i < UNKEYED; i++) want.put("plain " + i, null);
        for (int i = 0; i < KEYED; i++) want.put(keyedValue(i), keyOf(i));
        Map<String, String> got = new HashMap<>();
        Map<Integer, Long> next = new HashMap<>();
        Map<String, Integer> last = new HashMap<>();
        for (var record : seen) {
            got.put(record.value(), record.key());
            equal(record.offset(), next.getOrDefault(record.partition(), 0L), "offset in " + record.partition());
            next.put(record.partition(), record.offset() + 1);
            if (record.key() == null) continue;
            int number = Integer.parseInt(record.value().substring(2));
            check(number > last.getOrDefault(record.key(), -1), "order under " + record.key());
            last.put(record.key(), number);
            check(Arrays.equals(record.headers().lastHeader("source").value(), HEADER), "a header came back changed");
            check(record.headers().lastHeader("none").value() == null, "a null header came back as something else");
        }
        equal(got, want, "values and keys");
    }

    private String group() throws InterruptedException {
        Set<Integer> all = Set.of(0, 1, 2);
        Properties config = groupConfig(topic + "-group");
        Member first = new Member(config, topic);
        eventually(() -> first.holds().equals(all), "the first member has all partitions");
        Member second = new Member(config, topic);
        eventually(() -> shared(first.holds(), second.holds(), all), "two members share the partitions");
        String said = "alone 3, shared " + first.holds().size() + "+" + second.holds().size() + ", alone again 3";
        second.leave();
        eventually(() -> first.holds().equals(all), "the first member has all partitions back");
        first.leave();
        return said;
    }

    private static boolean shared(Set<Integer> one, Set<Integer> other, Set<Integer> all) {
        Set<Integer> together = new HashSet<>(one);
        together.addAll(other);
        return !one.isEmpty() && !other.isEmpty() && one.size() + other.size() == all.size() && together.equals(all);
    }

    private String commitAndResume(Admin admin) throws Exception {
        Properties config = groupConfig(topic + "-resume");
        List<ConsumerRecord<String, String>> seen;
        Map<TopicPartition, OffsetAndMetadata> marks = new HashMap<>();
        try (var consumer = consumer(config)) {
            consumer.subscribe(List.of(topic));
            seen = read(consumer, COMMIT_AFTER);
            for (var record : seen) {
                marks.put(new TopicPartition(topic, record.partition()),
                    new OffsetAndMetadata(record.offset() + 1, record.leaderEpoch(), "half way"));
            }
            consumer.commitSync(marks);
        }
        int before = seen.size();
        var stored = admin.listConsumerGroupOffsets(topic + "-resume").partitionsToOffsetAndMetadata().get();
        equal(stored, marks, "commits");
        try (var consumer = consumer(config)) {
            consumer.subscribe(List.of(topic));
            List<ConsumerRecord<String, String>> after = read(consumer, TOTAL - before);
            seen.addAll(after);
        }
        // Order within a partition, without a hole or a repeat, is what resuming at the commit means.
        whole(seen);
        var groups = admin.listGroups().all().get().stream().map(g -> g.groupId()).collect(Collectors.toSet());
        check(groups.contains(topic + "-resume"), "the group is not listed");
        return before + " before, " + (TOTAL - before) + " after the commit";
    }

    private String delete(Admin admin) throws Exception {
        admin.deleteTopics(List.of(topic)).all().get();
        eventually(() -> !listed(admin), "the topic is gone");
        admin.deleteConsumerGroups(List.of(topic + "-group", topic + "-resume")).all().get();
        return "topic and groups gone";
    }
}
