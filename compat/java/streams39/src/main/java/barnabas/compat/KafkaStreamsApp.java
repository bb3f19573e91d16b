package barnabas.compat;

import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;

/**
 * The tutorial's streams program as it was written: upper case, longer than five characters, counts by key in windows
 * of five minutes. Only its imports were missing; the names of topics and application are parameters here.
 */
public class KafkaStreamsApp {
    public static void main(String[] args) {
        String bootstrap = args.length > 0 ? args[0] : "localhost:9092";
        Topology topology = topology("input-topic", "output-topic");
        KafkaStreams streams = new KafkaStreams(topology, config(bootstrap, "streams-app"));
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    static Properties config(String bootstrap, String application) {
        Properties props = new Properties();
        props.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        props.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        props.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.String().getClass());
        props.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.String().getClass());
        return props;
    }

    static Topology topology(String input, String output) {
        StreamsBuilder builder = new StreamsBuilder();

        KStream<String, String> source = builder.stream(input);

        KStream<String, String> processed = source
            .mapValues(value -> value.toUpperCase())
            .filter((key, value) -> value.length() > 5);

        KTable<Windowed<String>, Long> counts = source
            .groupByKey()
            .windowedBy(TimeWindows.of(Duration.ofMinutes(5)))
            .count();

        processed.to(output);

        return builder.build();
    }
}
