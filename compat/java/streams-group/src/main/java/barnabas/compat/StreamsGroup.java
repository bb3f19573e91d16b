package barnabas.compat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Is a streams group (KIP-1071): {@code StreamsGroup HOST:PORT GROUP}. It reads the topics GROUP-in and GROUP-more, of
 * two and one partitions, which it makes where they are missing; counts words through the topic
 * GROUP-words-repartition, keeps the counts in GROUP-counts-changelog, and writes them to GROUP-out.
 *
 * <p>Prints "running" once it has its tasks and has committed all that there was to read, and ends, leaving an empty
 * group, when its standard input ends.
 */
public final class StreamsGroup {
    private StreamsGroup() {}

    public static void main(String[] args) throws Exception {
        String group = args[1];
        Path folder = Files.createTempDirectory("streams-group-");
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        properties.put(StreamsConfig.GROUP_PROTOCOL_CONFIG, "streams");
        properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.String().getClass());
        properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.String().getClass());
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, folder.toString());
        properties.put("auto.offset.reset", "earliest");

        try (Admin admin = Admin.create(properties)) {
            var there = admin.listTopics().names().get();
            List<NewTopic> topics =
                List.of(topic(group + "-in", 2), topic(group + "-more", 1), topic(group + "-out", 1));
            admin.createTopics(topics.stream().filter(topic -> !there.contains(topic.name())).toList()).all().get();
        }
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> words = builder.stream(group + "-in");
        words.groupBy((key, word) -> word, Grouped.as("words")).count(Materialized.as("counts"))
            .toStream().to(group + "-out", Produced.with(Serdes.String(), Serdes.Long()));
        builder.stream(group + "-more").foreach((key, value) -> {});
        try (KafkaStreams streams = new KafkaStreams(builder.build(), properties)) {
            streams.start();
            try (Admin admin = Admin.create(properties)) {
                while (streams.state() != KafkaStreams.State.RUNNING || tasks(streams) < 5 || !caughtUp(admin, group)) {
                    Thread.sleep(50);
                }
            }
            System.out.println("running");
            while (System.in.read() >= 0) {
                continue;
            }
        }
        try (var files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
        }
    }

    private static NewTopic topic(String name, int partitions) {
        return new NewTopic(name, partitions, (short) 1);
    }

    /** Tells whether all was read and committed; input is committed after what came of it was written. */
    private static boolean caughtUp(Admin admin, String group) throws Exception {
        var committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        for (String topic : List.of(group + "-in", group + "-more", group + "-words-repartition")) {
            for (var info : admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions()) {
                var partition = new TopicPartition(topic, info.partition());
                var ends = admin.listOffsets(Map.of(partition, OffsetSpec.latest()));
                long end = ends.partitionResult(partition).get().offset();
                long read = committed.containsKey(partition) ? committed.get(partition).offset() : 0;
                if (read < end) {
                    return false;
                }
            }
        }
        return true;
    }

    private static int tasks(KafkaStreams streams) {
        return streams.metadataForLocalThreads().stream().mapToInt(thread -> thread.activeTasks().size()).sum();
    }
}
