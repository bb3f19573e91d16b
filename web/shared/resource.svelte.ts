/** Data that is fetched again and again: what was read stays on the page, with its age, until something newer is there. */

import { messageOf } from "./api.ts";

const RETRY_MS = [1_000, 2_000, 4_000, 5_000];

export class Resource<T> {
  /** What was read last; null before the first answer. */
  data = $state.raw<T | null>(null);
  /** When it was read, milliseconds since 1970. */
  at = $state(0);
  /** Why the newest try failed; null when it did not. */
  failure = $state.raw<unknown>(null);
  busy = $state(false);
  refresh: () => void = () => {};

  get stale(): boolean {
    return this.failure !== null && this.data !== null;
  }

  get message(): string {
    return this.failure === null ? "" : messageOf(this.failure);
  }
}

/** Keep data fresh while the component lives.
 *
 * `key` names what is read: another key drops the old data; null reads nothing. `every` is in milliseconds; null reads
 * once. A failed try is repeated after 1 to 5 seconds until it works. A hidden tab asks for nothing.
 */
export function resource<T>(
  key: () => string | null,
  load: (key: string, signal: AbortSignal) => Promise<T>,
  every: number | null = null,
): Resource<T> {
  const state = new Resource<T>();
  const name = $derived(key()); // by its value: what it was made of may change without changing it
  let last: string | null = null;

  $effect(() => {
    const wanted = name;
    if (wanted !== last) {
      state.data = null;
      state.at = 0;
      state.failure = null;
      last = wanted;
    }
    if (wanted === null) return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let failures = 0;
    let running = false;

    const turn = async () => {
      clearTimeout(timer);
      timer = undefined;
      if (running || abort.signal.aborted) return;
      running = true;
      state.busy = true;
      try {
        const data = await load(wanted, abort.signal);
        if (abort.signal.aborted) return;
        state.data = data;
        state.at = Date.now();
        state.failure = null;
        failures = 0;
      } catch (error) {
        if (abort.signal.aborted) return;
        state.failure = error;
        failures++;
      } finally {
        running = false;
        if (!abort.signal.aborted) state.busy = false;
      }
      plan();
    };
    const plan = () => {
      const retry = RETRY_MS[Math.min(failures, RETRY_MS.length) - 1];
      const delay = failures > 0 ? retry : every;
      if (delay !== null && delay !== undefined && !document.hidden) timer = setTimeout(turn, delay);
    };
    const woken = () => {
      if (document.hidden) clearTimeout(timer);
      else if (every !== null || failures > 0) void turn();
    };

    state.refresh = () => void turn();
    document.addEventListener("visibilitychange", woken);
    addEventListener("online", woken);
    void turn();
    return () => {
      abort.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", woken);
      removeEventListener("online", woken);
    };
  });
  return state;
}
