package barnabas.compat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiFunction;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyDescription;
import org.apache.kafka.streams.errors.InvalidStateStoreException;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyWindowStore;
import org.apache.kafka.streams.state.WindowStoreIterator;

/**
 * Runs the streams program three times on keyed input and checks its output topic and its counts.
 *
 * <p>First run: counts from nothing. Second: a restart on the same state folder, more input, counts go on. Third: a
 * restart with the state folder gone, so that the counts come back from the changelog topic. Counts are read by
 * interactive query, output by a plain consumer. One line a step; exit code 1 at the first wrong answer.
 */
final class StreamsCheck {
    private static final Duration TIMEOUT = Duration.ofSeconds(90);
    private static final Duration WINDOW = Duration.ofMinutes(5);
    private static final List<String> WORDS = List.of("tick", "kline 1m", "trade", "order book", "signal");
    private static final List<String> SYMBOLS = List.of("000001", "600519", "600000", "BTCUSDT", "ETHUSDT", "贵州茅台");
    private static final int PARTITIONS = 3;

    private final String bootstrap;
    private final BiFunction<String, String, Topology> topology;
    private final BiFunction<String, String, Properties> config;
    private final String application = "compat-streams-" + UUID.randomUUID().toString().substring(0, 8);
    private final String input = application + "-input-topic";
    private final String output = application + "-output-topic";
    // Two whole windows, the later one the current: old enough to be closed, young enough for the store's retention.
    private final Instant later =
        Instant.ofEpochMilli(System.currentTimeMillis() / WINDOW.toMillis() * WINDOW.toMillis());
    private final Instant earlier = later.minus(WINDOW);
    /** What the counts must be: "key@window start" to number. */
    private final Map<String, Long> want = new TreeMap<>();
    /** What the output must be, by key, in order. */
    private final Map<String, List<String>> wantOutput = new HashMap<>();

    StreamsCheck(
            String[] args,
            BiFunction<String, String, Topology> topology,
            BiFunction<String, String, Properties> config) {
        if (args.length != 1) {
            System.err.println("usage: Streams HOST:PORT");
            System.exit(2);
        }
        this.bootstrap = args[0];
        this.topology = topology;
        this.config = config;
    }

    void run() throws Exception {
        Path state = Files.createTempDirectory("barnabas-streams");
        System.out.println("Kafka Streams " + AppInfoParser.getVersion());
        try (Admin admin = Admin.create(clients())) {
            admin.createTopics(List.of(
                new NewTopic(input, PARTITIONS, (short) 1), new NewTopic(output, PARTITIONS, (short) 1))).all().get();
            send(earlier, 120);
            send(later, 60);
            oneRun("first run", state);
            send(later, 30);
            oneRun("restart, state kept", state);
            delete(state);
            oneRun("restart, state from the changelog", state);
            checkOutput();
            List<String> ours = admin.listTopics().names().get().stream()
                .filter(name -> name.startsWith(application)).toList();
            if (ours.stream().noneMatch(name -> name.endsWith("-changelog"))) throw new AssertionError("no changelog");
            admin.deleteTopics(ours).all().get();
            System.out.println("ok   delete: " + ours.size() + " topics, the changelog among them");
        } catch (AssertionError wrong) {
            System.out.println("FAIL " + wrong.getMessage());
            System.exit(1);
        } finally {
            delete(state);
        }
    }

    private Properties clients() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        return properties;
    }

    /** Sends {@code count} keyed records into the window that begins at {@code start}, and notes what must follow. */
    private void send(Instant start, int count) throws Exception {
        try (var producer = new KafkaProducer<>(clients(), new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < count; i++) {
                String key = SYMBOLS.get(i % SYMBOLS.size());
                String value = WORDS.get(i % WORDS.size());
                producer.send(new ProducerRecord<>(input, null, start.toEpochMilli() + i, key, value));
                want.merge(key + "@" + start, 1L, Long::sum);
                if (value.length() > 5) {
                    wantOutput.computeIfAbsent(key, k -> new ArrayList<>()).add(value.toUpperCase());
                }
            }
            producer.flush();
        }
    }

    private void oneRun(String name, Path state) throws InterruptedException {
        long begun = System.nanoTime();
        Properties properties = config.apply(bootstrap, application);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        // A closed Streams instance does not leave its group; the next one waits for this time-out.
        properties.put("session.timeout.ms", "6000");
        properties.put("heartbeat.interval.ms", "1000");
        properties.put("auto.offset.reset", "earliest");
        Topology built = topology.apply(input, output);
        String store = storeOf(built);
        AtomicReference<Throwable> died = new AtomicReference<>();
        Map<String, Long> got = Map.of();
        try (KafkaStreams streams = new KafkaStreams(built, properties)) {
            streams.setUncaughtExceptionHandler(error -> {
                died.set(error);
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            long end = System.nanoTime() + TIMEOUT.toNanos();
            while (!got.equals(want)) {
                if (died.get() != null) throw new AssertionError(name + ": the program died: " + died.get());
                if (System.nanoTime() > end) throw new AssertionError(name + ": counts " + got + ", want " + want);
                Thread.sleep(100);
                got = query(streams, store);
            }
        }
        System.out.printf("ok   %s (%.2f s): %d counts over 2 windows, %d records%n", name,
            (System.nanoTime() - begun) / 1e9, got.size(), got.values().stream().mapToLong(Long::longValue).sum());
    }

    /** The count's store has no name of its own in the program; the topology knows the one it was given. */
    private static String storeOf(Topology topology) {
        return topology.describe().subtopologies().stream()
            .flatMap(part -> part.nodes().stream())
            .filter(TopologyDescription.Processor.class::isInstance)
            .flatMap(node -> ((TopologyDescription.Processor) node).stores().stream())
            .collect(Collectors.collectingAndThen(Collectors.toSet(), stores -> stores.iterator().next()));
    }

    private Map<String, Long> query(KafkaStreams streams, String store) {
        Map<String, Long> got = new TreeMap<>();
        try {
            ReadOnlyWindowStore<String, Long> counts = streams.store(
                StoreQueryParameters.fromNameAndType(store, QueryableStoreTypes.windowStore()));
            for (String key : SYMBOLS) {
                try (WindowStoreIterator<Long> windows = counts.fetch(key, earlier, later)) {
                    windows.forEachRemaining(pair -> got.put(key + "@" + Instant.ofEpochMilli(pair.key), pair.value));
                }
            }
        } catch (InvalidStateStoreException notYet) {
            return Map.of(); // still rebalancing or restoring
        }
        return got;
    }

    private void checkOutput() {
        Map<String, List<String>> got = new HashMap<>();
        List<TopicPartition> all = new ArrayList<>();
        for (int p = 0; p < PARTITIONS; p++) all.add(new TopicPartition(output, p));
        try (var consumer = new KafkaConsumer<>(clients(), new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(all);
            consumer.seekToBeginning(all);
            Map<TopicPartition, Long> ends = consumer.endOffsets(all);
            while (all.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                consumer.poll(Duration.ofMillis(500)).forEach(
                    record -> got.computeIfAbsent(record.key(), k -> new ArrayList<>()).add(record.value()));
            }
        }
        if (!got.equals(wantOutput)) throw new AssertionError("output: got " + got + ", want " + wantOutput);
        System.out.println("ok   output: " + got.values().stream().mapToInt(List::size).sum()
            + " records in upper case, longer than five characters, in order by key");
    }

    private static void delete(Path folder) throws IOException {
        if (!Files.exists(folder)) return;
        try (var paths = Files.walk(folder)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) Files.delete(path);
        }
    }
}
