package barnabas.compat;

import static barnabas.compat.Steps.TIMEOUT;
import static barnabas.compat.Steps.check;

import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** A group member on a thread of its own, since only polling takes part in a rebalance. */
final class Member {
    private final Thread thread;
    private volatile Set<Integer> assignment = Set.of();
    private volatile boolean ending;
    private volatile boolean closed;

    Member(Properties config, String topic) {
        thread = new Thread(() -> {
            try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
                consumer.subscribe(List.of(topic));
                while (!ending) {
                    consumer.poll(Duration.ofMillis(100));
                    assignment = consumer.assignment().stream().map(TopicPartition::partition)
                        .collect(Collectors.toUnmodifiableSet());
                }
                consumer.close(CloseOptions.timeout(TIMEOUT));
                closed = true;
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    /** The partitions assigned after the last poll. */
    Set<Integer> holds() {
        check(thread.isAlive(), "a member's thread died");
        return assignment;
    }

    void leave() throws InterruptedException {
        ending = true;
        thread.join(TIMEOUT.toMillis());
        check(closed, "a member did not close");
    }
}
