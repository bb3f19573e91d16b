/** The candles of one instrument and interval: fetched, then followed; older ones on request. */
import { messageOf } from "../../../shared/api.ts";
import { ask, query } from "./ask.ts";
import { stream } from "./stream.svelte.ts";
import type { Bar } from "./types.ts";

const FIRST = 500;

/** Hears what became of the bars: all are new, or the last one changed (or was added). */
export interface Hearing { whole: () => void; last: (bar: Bar) => void }

export class Bars {
  list: Bar[] = [];
  count = $state(0);
  last = $state.raw<Bar | null>(null);
  failure = $state("");
  loaded = $state(false);

  #source: Bar["source"] | null = null;
  #abort = new AbortController();
  #older = false;
  #begin = false; // the oldest there is has been read
  #waiting = new Map<string, Bar>(); // the newest of each: a hidden tab draws nothing for hours
  #frame = 0;

  constructor(readonly exchange: string, readonly symbol: string, readonly interval: string, private hearing: Hearing) {}

  start(): () => void {
    const end = stream.listen(`kline:${this.exchange}:${this.symbol}:${this.interval}`, (data) => this.#take(data as Bar));
    return () => {
      this.#abort.abort();
      cancelAnimationFrame(this.#frame);
      end();
    };
  }

  /** Fetch the newest; what is there stays while that fails. */
  async fetch(): Promise<void> {
    try {
      const bars = await this.#read({ limit: FIRST });
      const newest = bars.at(-1)?.open_time ?? 0;
      const later = this.list.filter((bar) => bar.open_time > newest && bar.source === bars.at(-1)?.source);
      const oldest = bars[0]?.open_time ?? 0;
      const before = this.list.filter((bar) => bar.open_time < oldest);
      this.list = [...before, ...bars, ...later];
      this.#source = bars.at(-1)?.source ?? this.#source;
      if (bars.length < FIRST) this.#begin = true;
      this.failure = "";
      this.loaded = true;
      this.#whole();
    } catch (error) {
      if (!this.#abort.signal.aborted) this.failure = messageOf(error);
    }
  }

  /** Fetch what is before the oldest. */
  async older(): Promise<void> {
    const oldest = this.list[0];
    if (this.#older || this.#begin || oldest === undefined) return;
    this.#older = true;
    try {
      const bars = await this.#read({ limit: FIRST, end: Math.floor(oldest.open_time / 1000) });
      this.#begin = bars.length === 0;
      this.list = [...bars.filter((bar) => bar.open_time < oldest.open_time), ...this.list];
      this.#whole();
    } catch {
      // Asked again when the picture is moved again.
    } finally {
      this.#older = false;
    }
  }

  async #read(parameters: Record<string, number>): Promise<Bar[]> {
    const asked = query({ exchange: this.exchange, interval: this.interval, ...parameters });
    const { klines } = await ask<{ klines?: Bar[] }>(`klines/${this.symbol}?${asked}`, { signal: this.#abort.signal, also: [404] });
    return klines ?? [];
  }

  #whole(): void {
    this.count = this.list.length;
    this.last = this.list.at(-1) ?? null;
    this.hearing.whole();
  }

  #take(bar: Bar): void {
    this.#waiting.set(`${bar.open_time}@${bar.source}`, bar);
    if (this.#frame === 0 && this.loaded) this.#frame = requestAnimationFrame(() => this.#show());
  }

  #show(): void {
    this.#frame = 0;
    const came = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const bar of came) {
      if (this.#source !== null && bar.source !== this.#source) continue; // a venue's own bars and ours are not mixed
      this.#source = bar.source;
      const last = this.list.at(-1);
      if (last !== undefined && bar.open_time < last.open_time) {
        const at = this.list.findLastIndex((one) => one.open_time === bar.open_time);
        if (at >= 0) this.list[at] = bar; // closed after the next one had begun: drawn with the whole
        continue;
      }
      if (last !== undefined && bar.open_time === last.open_time) this.list[this.list.length - 1] = bar;
      else this.list.push(bar);
      this.count = this.list.length;
      this.last = bar;
      this.hearing.last(bar);
    }
  }
}
