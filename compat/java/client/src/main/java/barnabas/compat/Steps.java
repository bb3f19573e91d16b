package barnabas.compat;

import java.time.Duration;
import java.util.Objects;
import java.util.function.BooleanSupplier;

/** Runs the steps of a journey: one printed line each, the first wrong answer ends the program with exit code 1. */
final class Steps {
    static final Duration TIMEOUT = Duration.ofSeconds(60);

    /** A step: makes its calls, checks the answers, returns what to say. */
    interface Step {
        String run() throws Exception;
    }

    /** An answer that is not the one expected. */
    static final class Mismatch extends RuntimeException {
        private static final long serialVersionUID = 1;

        Mismatch(String message) {
            super(message);
        }
    }

    private Steps() {}

    static void step(String name, Step step) {
        long begun = System.nanoTime();
        try {
            String said = step.run();
            System.out.printf("ok   %s (%.2f s): %s%n", name, (System.nanoTime() - begun) / 1e9, said);
        } catch (Exception error) {
            System.out.printf("FAIL %s: %s%n", name, error);
            error.printStackTrace();
            // Pollers of other steps may still run; the verdict does not wait for them.
            System.exit(1);
        }
    }

    static void check(boolean holds, String message) {
        if (!holds) throw new Mismatch(message);
    }

    static void equal(Object got, Object want, String what) {
        check(Objects.equals(got, want), what + ": got " + got + ", want " + want);
    }

    static void eventually(BooleanSupplier condition, String what) throws InterruptedException {
        long end = System.nanoTime() + TIMEOUT.toNanos();
        while (!condition.getAsBoolean()) {
            check(System.nanoTime() < end, "not within " + TIMEOUT.toSeconds() + " s: " + what);
            Thread.sleep(50);
        }
    }
}
