import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Properties;

import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Says what Java's clients say of their properties. A line on standard input is P or C, for a producer or a consumer,
 * and pairs key=value; a line on standard output is the same, a tab, and "ok" or the exception with its causes. So were
 * the words of barnabas/tests/tools/client_words.txt recorded. No broker is needed.
 */
public final class ClientWords {
    public static void main(String[] args) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Properties properties = new Properties();
            properties.put("bootstrap.servers", "127.0.0.1:2");
            String[] words = line.split(" ");
            for (int i = 1; i < words.length; i++) {
                int equals = words[i].indexOf('=');
                properties.put(words[i].substring(0, equals), words[i].substring(equals + 1));
            }
            String said = "ok";
            try {
                if (words[0].equals("P")) {
                    new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())
                        .close(Duration.ZERO);
                } else {
                    properties.putIfAbsent("group.id", "g");
                    new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())
                        .close(Duration.ZERO);
                }
            } catch (RuntimeException e) {
                StringBuilder causes = new StringBuilder(e.toString());
                for (Throwable cause = e.getCause(); cause != null; cause = cause.getCause()) {
                    causes.append(" <- ").append(cause);
                }
                said = causes.toString();
            }
            System.out.println("@" + line + "\t" + said);
        }
    }
}
