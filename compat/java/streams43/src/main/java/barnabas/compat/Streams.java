package barnabas.compat;

/** Checks the program of this module against a broker: {@code Streams HOST:PORT}. */
public final class Streams {
    private Streams() {}

    public static void main(String[] args) throws Exception {
        new StreamsCheck(args, KafkaStreamsApp::topology, KafkaStreamsApp::config).run();
    }
}
