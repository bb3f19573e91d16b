package barnabas.compat;

import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONObject;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.stereotype.Service;

/**
 * The tutorial's analysis service, mended to run: fastjson2 for its JSON calls, and a moving average of five prices
 * for the indicator that it left open. Prices stay decimal numbers.
 */
@Service
public class StockDataConsumer {
    private static final int PERIOD = 5;

    /** What was consumed, for whoever wants to look at it. */
    record Consumed(String symbol, BigDecimal price, BigDecimal average) {}

    final BlockingQueue<Consumed> consumed = new LinkedBlockingQueue<>();
    private final Map<String, Deque<BigDecimal>> prices = new ConcurrentHashMap<>();

    @KafkaListener(topics = "${compat.topic:stock-realtime}", groupId = "${compat.group:analysis-service}")
    public void consume(String message) {
        JSONObject data = JSON.parseObject(message);
        String symbol = data.getString("symbol");
        BigDecimal price = data.getBigDecimal("price");

        BigDecimal average = calculateMA(symbol, price);
        System.out.println("consumed " + symbol + " " + price.toPlainString() + " MA" + PERIOD + " " + average);
        consumed.add(new Consumed(symbol, price, average));
    }

    private BigDecimal calculateMA(String symbol, BigDecimal price) {
        Deque<BigDecimal> recent = prices.computeIfAbsent(symbol, s -> new ArrayDeque<>());
        recent.addLast(price);
        if (recent.size() > PERIOD) recent.removeFirst();
        BigDecimal sum = recent.stream().reduce(BigDecimal.ZERO, BigDecimal::add);
        return sum.divide(BigDecimal.valueOf(recent.size()), 4, RoundingMode.HALF_EVEN);
    }
}
