package barnabas.compat;

import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.time.Instant;
import java.util.Properties;

/** Goes through what a JDBC user does; each step prints a line, the first wrong answer ends the program with code 1. */
public final class Jdbc {
    private static final int ROWS = 10_000;

    private Jdbc() {}

    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:clickhouse://" + arguments[0] + "/default";
        for (String compress : new String[] {"true", "false"}) {
            Properties properties = new Properties();
            properties.setProperty("user", "default");
            properties.setProperty("password", "");
            properties.setProperty("compress", compress);
            try (Connection connection = DriverManager.getConnection(url, properties)) {
                walk(connection, "answers compressed: " + compress);
            }
        }
        Properties both = new Properties();
        both.setProperty("decompress", "true");
        try (Connection connection = DriverManager.getConnection(url, both)) {
            walk(connection, "requests compressed");
        }
        System.out.println("ok");
    }

    private static void walk(Connection connection, String how) throws SQLException {
        step(how, connection.getMetaData().getDatabaseProductVersion());
        String table = "jdbc_" + Long.toUnsignedString(System.nanoTime());
        try (Statement statement = connection.createStatement()) {
            statement.execute("CREATE TABLE " + table + " (id UInt64, symbol LowCardinality(String), price Decimal(18, 8),"
                + " at DateTime64(3, 'UTC'), tags Array(String), note Nullable(String)) ENGINE = MergeTree ORDER BY id");
        }
        insert(connection, table);
        select(connection, table);
        stream(connection);
        errors(connection);
        metadata(connection, table);
        try (Statement statement = connection.createStatement()) {
            statement.execute("DROP TABLE " + table);
        }
        step("drop", table);
    }

    private static void insert(Connection connection, String table) throws SQLException {
        String sql = "INSERT INTO " + table + " (id, symbol, price, at, tags, note) VALUES (?, ?, ?, ?, ?, ?)";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int row = 0; row < ROWS; row++) {
                statement.setLong(1, row);
                statement.setString(2, row % 2 == 0 ? "BTCUSDT" : "it's \\ quoted");
                statement.setBigDecimal(3, new BigDecimal("0.00000001").multiply(BigDecimal.valueOf(row)));
                statement.setTimestamp(4, Timestamp.from(Instant.ofEpochMilli(1_700_000_000_000L + row)));
                statement.setArray(5, connection.createArrayOf("String", new Object[] {"a", "b'"}));
                statement.setString(6, row % 3 == 0 ? null : "note " + row);
                statement.addBatch();
            }
            statement.executeBatch();
        }
        step("batch insert", ROWS);
    }

    private static void select(Connection connection, String table) throws SQLException {
        String sql = "SELECT id, symbol, price, at, tags, note FROM " + table + " WHERE id >= ? AND symbol = ? ORDER BY id";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setLong(1, 11);
            statement.setString(2, "it's \\ quoted");
            int row = 11;
            try (ResultSet result = statement.executeQuery()) {
                for (; result.next(); row += 2) {
                    same(result.getLong("id"), (long) row);
                    same(result.getBigDecimal("price").compareTo(new BigDecimal("0.00000001").multiply(BigDecimal.valueOf(row))), 0);
                    same(result.getTimestamp("at").toInstant(), Instant.ofEpochMilli(1_700_000_000_000L + row));
                    same(((Object[]) result.getArray("tags").getArray())[1], "b'");
                    same(result.getString("note"), row % 3 == 0 ? null : "note " + row);
                }
            }
            same(row, ROWS + 1);
        }
        step("select with parameters", ROWS / 2 - 5);
    }

    private static void stream(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
            ResultSet result = statement.executeQuery("SELECT number FROM numbers(3000000)")) {
            long sum = 0;
            while (result.next()) {
                sum += result.getLong(1);
            }
            same(sum, 4_499_998_500_000L);
        }
        step("three million rows", "summed");
    }

    private static void errors(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.executeQuery("SELECT * FROM nowhere").close();
            throw new IllegalStateException("a table that is not there was read");
        } catch (SQLException error) {
            same(error.getErrorCode(), 60);
            step("an unknown table is", error.getErrorCode());
        }
    }

    private static void metadata(Connection connection, String table) throws SQLException {
        int columns = 0;
        try (ResultSet result = connection.getMetaData().getColumns(null, "default", table, null)) {
            while (result.next()) {
                columns++;
            }
        }
        same(columns, 6);
        step("columns", columns);
    }

    private static void same(Object got, Object wanted) {
        if (got == null ? wanted != null : !got.equals(wanted)) {
            throw new IllegalStateException("got " + got + ", wanted " + wanted);
        }
    }

    private static void step(String name, Object value) {
        System.out.println(name + ": " + value);
    }
}
