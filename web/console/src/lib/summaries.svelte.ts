/** Details of long lists, fetched for the rows that are looked at: a list of 5,000 names is there at once. */

import { SvelteMap } from "svelte/reactivity";

const WAIT_MS = 60; // a moment for the scrolling to end
const FRESH_MS = 15_000;
const RETRY_MS = 5_000;

export class Summaries<T> {
  readonly known = new SvelteMap<string, T>();
  /** How many are still to come, when all were asked for. */
  missing = $state(0);
  #asked = new Map<string, number>(); // when each name was asked for last
  #queue: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running = false;
  #abort = new AbortController();
  readonly #load: (names: string[], signal: AbortSignal) => Promise<Record<string, T>>;
  readonly #batch: number;

  constructor(load: (names: string[], signal: AbortSignal) => Promise<Record<string, T>>, batch: number) {
    this.#load = load;
    this.#batch = batch;
  }

  /** Ask for the details of some names, unless they are known and fresh. */
  want(names: string[]): void {
    const now = Date.now();
    this.#queue = names.filter((name) => now - (this.#asked.get(name) ?? 0) > FRESH_MS);
    clearTimeout(this.#timer);
    if (this.#queue.length > 0) this.#timer = setTimeout(() => void this.#run(), WAIT_MS);
  }

  /** Ask for all of these names that are not known: what ordering by a detail needs. */
  wantAll(names: string[]): void {
    this.#queue = names.filter((name) => !this.known.has(name));
    this.missing = this.#queue.length;
    if (this.#queue.length > 0) void this.#run();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#queue.length > 0 && !this.#abort.signal.aborted) {
        const names = this.#queue.slice(0, this.#batch);
        this.#queue = this.#queue.slice(this.#batch);
        const now = Date.now();
        for (const name of names) this.#asked.set(name, now);
        try {
          const found = await this.#load(names, this.#abort.signal);
          for (const [name, one] of Object.entries(found)) this.known.set(name, one);
        } catch {
          // The list itself tells that nothing answers; these names may be asked for again a little later.
          for (const name of names) this.#asked.set(name, now - FRESH_MS + RETRY_MS);
        }
        this.missing = Math.min(this.missing, this.#queue.length);
      }
    } finally {
      this.#running = false;
    }
  }
}
