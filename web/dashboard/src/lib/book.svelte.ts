/** The order book of one instrument: a snapshot, and the differences that follow it. Drawn once in so many frames. */
import { ask } from "./ask.ts";
import { add, compare, plain, sign } from "./decimal.ts";
import { stream } from "./stream.svelte.ts";
import type { BookRecord, Level } from "./types.ts";

export interface Row { price: string; quantity: string; total: string; }
const DRAW_MS = 150;
const RECENT = 300; // differences that are kept for a snapshot that comes late
const BEHIND = 3;
const FETCH_MS = 2_000; // between two fetches after a hole

export class Book {
  bids = $state.raw<Row[]>([]);
  asks = $state.raw<Row[]>([]);
  /** No book was found at all: the venue has none. */
  none = $state(false);
  at = $state(0);

  #sides = { bids: new Map<string, string>(), asks: new Map<string, string>() };
  #last = -1; // what the book is at; below 0: the next whole one is waited for
  #recent: BookRecord[] = [];
  #behind = 0;
  #fetched = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #abort = new AbortController();

  constructor(readonly exchange: string, readonly symbol: string, readonly rows: number) {}

  /** Fetch and follow until the returned function is called. */
  start(): () => void {
    const hear = (data: unknown) => this.#take(data as BookRecord);
    const ends = [stream.listen(`book:${this.exchange}:${this.symbol}`, hear), stream.listen(`depth:${this.exchange}:${this.symbol}`, hear)];
    this.#abort = new AbortController();
    this.#fetched = 0;
    this.#recent = [];
    this.#last = -1;
    void this.#fetch();
    return () => {
      this.#abort.abort();
      clearTimeout(this.#timer);
      for (const end of ends) end();
    };
  }

  async #fetch(): Promise<void> {
    if (Date.now() - this.#fetched < FETCH_MS) return;
    this.#fetched = Date.now();
    try {
      const answer = await ask<{ last_update_id: number; bids: Level[]; asks: Level[] } | { error: string }>(
        `orderbook/${this.symbol}?exchange=${this.exchange}&depth=100`, { signal: this.#abort.signal, also: [404] },
      );
      if ("error" in answer) this.none = this.#last < 0;
      else if (answer.last_update_id > this.#last) this.#whole(answer.bids, answer.asks, answer.last_update_id);
    } catch {
      // The next snapshot of the stream stands in.
    }
  }

  /** Snapshots and differences come on streams of their own: a snapshot may come after differences that follow it. */
  #take(record: BookRecord): void {
    if (record.type === "snapshot") {
      // One that is behind says nothing new; several in a row do: the feed has begun anew.
      if (record.last_update_id < this.#last && ++this.#behind < BEHIND) return;
      this.#whole(record.bids, record.asks, record.last_update_id);
      return;
    }
    this.#recent.push(record);
    if (this.#recent.length > 2 * RECENT) this.#recent = this.#recent.slice(-RECENT);
    if (this.#last >= 0 && this.#change(record)) this.#plan();
  }

  /** Apply a difference; return whether anything changed. Where one before it is missing, what is shown stays. */
  #change(record: BookRecord): boolean {
    if (record.last_update_id <= this.#last) return false;
    const follows = record.previous_update_id === null ? record.first_update_id <= this.#last + 1 : record.previous_update_id <= this.#last;
    if (!follows) {
      this.#last = -1;
      void this.#fetch();
      return false;
    }
    for (const side of ["bids", "asks"] as const)
      for (const [price, quantity] of record[side]) {
        if (sign(quantity) === 0) this.#sides[side].delete(plain(price));
        else this.#sides[side].set(plain(price), quantity);
      }
    this.#last = record.last_update_id;
    return true;
  }

  #whole(bids: Level[], asks: Level[], id: number): void {
    this.#sides = {
      bids: new Map(bids.map(([price, quantity]) => [plain(price), quantity])),
      asks: new Map(asks.map(([price, quantity]) => [plain(price), quantity])),
    };
    this.#last = id;
    this.#behind = 0;
    this.none = false;
    for (const record of this.#recent) if (this.#last >= 0) this.#change(record);
    if (this.#last >= 0) this.#plan();
  }

  #plan(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      requestAnimationFrame(() => this.#draw());
    }, DRAW_MS);
  }

  #draw(): void {
    this.bids = this.#best("bids");
    this.asks = this.#best("asks");
    this.at = Date.now();
  }

  #best(side: "bids" | "asks"): Row[] {
    const turn = side === "bids" ? -1 : 1;
    const best = [...this.#sides[side].keys()].sort((left, right) => (Number(left) - Number(right)) * turn || compare(left, right)).slice(0, this.rows);
    let total = "0";
    return best.map((price) => {
      const quantity = this.#sides[side].get(price) ?? "0";
      total = add(total, quantity) ?? total;
      return { price, quantity: plain(quantity), total };
    });
  }
}
