import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

import org.apache.kafka.common.utils.Exit;

/**
 * Runs the main methods of Kafka's tools one after the other in one JVM, so that a table of hundreds of commands does
 * not start hundreds of JVMs. A line on standard input is a command: seconds, class, standard input, arguments, each in
 * base64, separated by spaces. A line on standard output is what came of it: status, standard output, standard error.
 */
public final class ToolServer {
    private static final class Ended extends Error {
        final int status;

        Ended(int status) {
            super(null, null, false, false);
            this.status = status;
        }
    }

    public static void main(String[] args) throws Exception {
        PrintStream answers = System.out;
        PrintStream errors = System.err;
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            List<String> words = new ArrayList<>();
            for (String word : line.split(" ", -1)) {
                words.add(new String(Base64.getDecoder().decode(word), StandardCharsets.UTF_8));
            }
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            ByteArrayOutputStream err = new ByteArrayOutputStream();
            InputStream in = new ByteArrayInputStream(words.get(2).getBytes(StandardCharsets.UTF_8));
            System.setIn(in);
            System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
            System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
            byte[][] printed = new byte[2][];
            Runnable freeze = () -> {
                System.out.flush();
                System.err.flush();
                printed[0] = out.toByteArray();
                printed[1] = err.toByteArray();
            };
            int status = run(Long.parseLong(words.get(0)), words.get(1), words.subList(3, words.size()), freeze);
            System.setOut(answers);
            System.setErr(errors);
            Base64.Encoder encoder = Base64.getEncoder();
            answers.println(status + " " + encoder.encodeToString(printed[0]) + " "
                + encoder.encodeToString(printed[1]) + " .");
            answers.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    private static int run(long seconds, String name, List<String> arguments, Runnable freeze)
        throws InterruptedException {
        int[] status = {0};
        // The first exit counts, and what was printed until then: some tools catch what is thrown here, and print it.
        boolean[] ended = {false};
        boolean[] late = {false};
        Exit.Procedure procedure = (code, message) -> {
            if (!ended[0] && !late[0]) {
                ended[0] = true;
                status[0] = code;
                freeze.run();
            }
            throw new Ended(code);
        };
        Exit.setExitProcedure(procedure);
        Exit.setHaltProcedure(procedure);
        List<Runnable> hooks = new ArrayList<>();
        Exit.setShutdownHookAdder((hook, runnable) -> hooks.add(runnable));
        Thread thread = new Thread(() -> {
            try {
                Class.forName(name).getMethod("main", String[].class)
                    .invoke(null, (Object) arguments.toArray(new String[0]));
            } catch (java.lang.reflect.InvocationTargetException e) {
                if (!(e.getCause() instanceof Ended) && !ended[0]) {
                    System.err.println("Exception in thread \"main\" " + e.getCause());
                    status[0] = 1;
                }
            } catch (ReflectiveOperationException e) {
                System.err.println("ToolServer: " + e);
                status[0] = 99;
            }
        }, "main");
        thread.setDaemon(true);
        thread.start();
        thread.join(seconds * 1000);
        if (thread.isAlive()) {
            status[0] = 124;
            late[0] = true;
        }
        for (Runnable hook : hooks) {
            try {
                hook.run();
            } catch (RuntimeException | Error e) {
                // what a tool does while the JVM ends is not compared
            }
        }
        if (!ended[0]) {
            freeze.run();
        }
        if (late[0]) {
            // what it says about being interrupted is not compared; nor may its exit become that of the next command
            thread.interrupt();
            thread.join(2000);
        }
        return status[0];
    }
}
