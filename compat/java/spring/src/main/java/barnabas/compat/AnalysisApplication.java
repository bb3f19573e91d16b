package barnabas.compat;

import com.alibaba.fastjson2.JSONObject;
import java.math.BigDecimal;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.kafka.config.KafkaListenerEndpointRegistry;
import org.springframework.kafka.core.KafkaTemplate;

/**
 * A Spring Boot service that listens to stock-realtime: {@code AnalysisApplication HOST:PORT [serve]}.
 *
 * <p>With {@code serve} it listens to stock-realtime until it is ended. Without, it checks itself on a topic of its
 * own: sends quotes through KafkaTemplate, expects each at the listener, and its group's committed offset at the end.
 */
@SpringBootApplication
public class AnalysisApplication {
    private static final List<String> PRICES = List.of("10.52", "10.55", "10.49", "10.60", "10.58", "10.61", "1680.00");

    public static void main(String[] args) throws Exception {
        if (args.length < 1) {
            System.err.println("usage: AnalysisApplication HOST:PORT [serve]");
            System.exit(2);
        }
        boolean serve = args.length > 1 && args[1].equals("serve");
        String topic = serve ? "stock-realtime" : "compat-spring-" + UUID.randomUUID().toString().substring(0, 8);
        SpringApplication application = new SpringApplication(AnalysisApplication.class);
        application.setDefaultProperties(Map.of(
            "spring.kafka.bootstrap-servers", args[0],
            "spring.kafka.consumer.auto-offset-reset", "earliest",
            "spring.main.banner-mode", "off",
            "spring.main.web-application-type", "none",
            "spring.main.keep-alive", "true",
            "logging.level.root", "warn",
            // A check creates its topic before it lets the listener subscribe.
            "spring.kafka.listener.auto-startup", Boolean.toString(serve),
            "compat.topic", topic,
            "compat.group", serve ? "analysis-service" : topic + "-group"));
        if (serve) {
            application.run();
            return;
        }
        System.exit(check(application, args[0], topic));
    }

    private static int check(SpringApplication application, String bootstrap, String topic) throws Exception {
        Map<String, Object> address = Map.of("bootstrap.servers", bootstrap);
        try {
            try (ConfigurableApplicationContext context = application.run(); Admin admin = Admin.create(address)) {
                admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
                context.getBean(KafkaListenerEndpointRegistry.class).start();
                sendAndExpect(context, topic);
            }
            // Closing the context committed what the listener had processed.
            try (Admin admin = Admin.create(address)) {
                var offsets = admin.listConsumerGroupOffsets(topic + "-group").partitionsToOffsetAndMetadata().get();
                OffsetAndMetadata committed = offsets.get(new TopicPartition(topic, 0));
                expect(committed != null && committed.offset() == PRICES.size(), "committed " + committed);
                System.out.println("ok   committed offset " + committed.offset());
                admin.deleteTopics(List.of(topic)).all().get();
            }
            return 0;
        } catch (IllegalStateException wrong) {
            System.out.println("FAIL " + wrong.getMessage());
            return 1;
        }
    }

    private static void sendAndExpect(ConfigurableApplicationContext context, String topic) throws Exception {
        @SuppressWarnings("unchecked")
        KafkaTemplate<String, String> template = context.getBean(KafkaTemplate.class);
        StockDataConsumer service = context.getBean(StockDataConsumer.class);
        for (String price : PRICES) {
            var quote = new JSONObject();
            quote.put("symbol", "000001");
            quote.put("price", new BigDecimal(price));
            template.send(topic, quote.toJSONString()).get();
        }
        BigDecimal average = null;
        for (String price : PRICES) {
            var got = service.consumed.poll(60, TimeUnit.SECONDS);
            expect(got != null, "no quote within 60 s");
            expect(got.symbol().equals("000001") && got.price().equals(new BigDecimal(price)), "got " + got);
            average = got.average();
        }
        // (10.49 + 10.60 + 10.58 + 10.61 + 1680.00) / 5
        expect(average.equals(new BigDecimal("344.4560")), "moving average " + average);
        System.out.println("ok   " + PRICES.size() + " quotes through @KafkaListener, moving average " + average);
    }

    private static void expect(boolean holds, String wrong) {
        if (!holds) throw new IllegalStateException(wrong);
    }
}
