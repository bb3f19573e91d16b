/**
 * The candles of one instrument and interval: fetched, then followed; older ones on request. A venue tells its bars every
 * second or two: between two of them the last bar, and the next, follow the trades.
 */
import { messageOf } from "../../../shared/api.ts";
import { ask, query } from "./ask.ts";
import { add, compare } from "./decimal.ts";
import { stream } from "./stream.svelte.ts";
import type { Bar, Trade } from "./types.ts";

const FIRST = 500;
const MOST_TRADES = 1_000;
const FRAME_MS = 16;
const RETRY_MS = [1_000, 2_000, 5_000];
const LONGEST = 7 * 86_400e6; // a week, microseconds

/** Hears what became of the bars: all are new, or one changed, or was added at the end. */
export interface Hearing { whole: () => void; changed: (bar: Bar) => void }

export class Bars {
  list: Bar[] = [];
  count = $state(0);
  last = $state.raw<Bar | null>(null);
  failure = $state("");
  loaded = $state(false);

  #source: Bar["source"] | null = null;
  #abort = new AbortController();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #older = false;
  #begin = false; // the oldest there is has been read
  #waiting = new Map<string, Bar>(); // the newest of each: a hidden tab draws nothing for hours
  #told: Bar | null = null; // the last bar as it was told
  #since: Trade[] = []; // what was traded since
  #counted = 0; // of these, those that are in the bars
  #ahead = 0; // bars behind it, which trades have begun
  #frame = 0;
  #planned = false;
  #shown = 0;

  constructor(readonly exchange: string, readonly symbol: string, readonly interval: string, private hearing: Hearing) {}

  start(): () => void {
    const ends = [
      stream.listen(`kline:${this.exchange}:${this.symbol}:${this.interval}`, (data) => this.#take(data as Bar), () => void this.#fetch()),
      stream.listen(`trade:${this.exchange}:${this.symbol}`, (data) => this.#trade(data as Trade)),
    ];
    return () => {
      this.#abort.abort();
      clearTimeout(this.#retry);
      cancelAnimationFrame(this.#frame);
      for (const end of ends) end();
    };
  }

  /** Fetch the newest, again until it works; what is there stays meanwhile, and what was heard where it says more. */
  async #fetch(failures = 0): Promise<void> {
    clearTimeout(this.#retry);
    try {
      const bars = await this.#read({ limit: FIRST });
      this.#untraded();
      const merged = new Map(bars.map((bar) => [bar.open_time, bar]));
      const oldest = bars[0]?.open_time ?? 0;
      for (const bar of this.list) {
        const read = merged.get(bar.open_time);
        const stays = read !== undefined ? saysMore(bar, read)
          : bar.open_time < oldest || bar.source === "venue" || bar.source === (bars.at(-1) ?? bar).source;
        if (stays) merged.set(bar.open_time, bar);
      }
      this.list = [...merged.values()].sort((left, right) => left.open_time - right.open_time);
      this.#told = this.list.at(-1) ?? null;
      // The newest one may be ours because the venue has not told it yet.
      this.#source = this.list.slice(-2).some((bar) => bar.source === "venue") ? "venue" : (this.#told?.source ?? null);
      this.#since = [];
      if (bars.length < FIRST) this.#begin = true;
      this.failure = "";
      this.loaded = true;
      this.#whole();
      if (this.#waiting.size > 0) this.#plan();
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.failure = messageOf(error);
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => void this.#fetch(failures + 1), RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]);
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
    this.#plan();
  }

  #trade(trade: Trade): void {
    if (!this.loaded) return;
    this.#since.push(trade);
    if (this.#since.length > MOST_TRADES) {
      this.#since.shift();
      this.#counted = Math.max(0, this.#counted - 1);
    }
    this.#plan();
  }

  /** Show what has come: at once, because the chart draws it in its next frame, but no more often than there are frames. */
  #plan(): void {
    if (this.#planned || !this.loaded) return;
    this.#planned = true;
    if (performance.now() - this.#shown > FRAME_MS) queueMicrotask(() => this.#show());
    else this.#frame = requestAnimationFrame(() => this.#show());
  }

  #show(): void {
    this.#planned = false;
    this.#shown = performance.now();
    if (this.#abort.signal.aborted) return;
    const came = [...this.#waiting.values()];
    this.#waiting.clear();
    if (came.length > 0) this.#untraded();
    for (const bar of came) {
      // A venue's own bars and ours are not mixed: from its first one on, its own are shown.
      if (this.#source === "venue" && bar.source === "computed") continue;
      if (this.#source === "computed" && bar.source === "venue") void this.#fetch();
      this.#source = bar.source;
      const last = this.list.at(-1);
      if (last !== undefined && bar.open_time < last.open_time) {
        const at = this.list.findLastIndex((one) => one.open_time === bar.open_time);
        if (at < 0 || isOver(this.list[at], bar)) continue;
        this.list[at] = bar; // closed after the next one had begun
      } else {
        if (last !== undefined && bar.open_time === last.open_time) {
          if (isOver(last, bar)) continue;
          this.list.pop();
        }
        this.list.push(bar);
        this.#told = bar;
        this.#since = this.#since.filter((trade) => trade.trade_time > (bar.event_time ?? 0));
      }
      this.hearing.changed(bar);
    }
    this.#traded();
    this.count = this.list.length;
    this.last = this.list.at(-1) ?? null;
  }

  /** Let the last bar follow the trades that came since it was told; those of the next times begin bars behind it. */
  #traded(): void {
    const last = this.list.length - 1;
    let bar = this.list[last];
    if (bar === undefined) return;
    for (const trade of this.#since.slice(this.#counted)) {
      if (trade.trade_time > bar.close_time) {
        const next = begun(bar, trade);
        if (next === null) continue;
        this.list.push(next);
        this.#ahead++;
        bar = next;
      } else if (!bar.closed && trade.trade_time >= bar.open_time) {
        bar = withTrade(bar, trade);
        this.list[this.list.length - 1] = bar;
      }
    }
    this.#counted = this.#since.length;
    for (const one of this.list.slice(last)) this.hearing.changed(one);
  }

  /** Undo that: the last bar is the last told one. */
  #untraded(): void {
    if (this.#told !== null) this.list.splice(-1 - this.#ahead, 1 + this.#ahead, this.#told);
    this.#ahead = this.#counted = 0;
  }
}

/** Tell whether a bar is over, and another one of its time and source was told before that. */
function isOver(bar: Bar | undefined, other: Bar): boolean {
  return bar !== undefined && bar.source === other.source && bar.closed && !other.closed;
}

/** Tell whether a bar that was heard says more than the one that was fetched, which may come from a store that is behind. */
function saysMore(heard: Bar, read: Bar): boolean {
  if (heard.source !== read.source) return heard.source === "venue";
  return isOver(heard, read) || (!heard.closed && !read.closed && compare(heard.volume, read.volume) > 0);
}

function withTrade(bar: Bar, { price, quantity }: Trade): Bar {
  const [high, low] = [compare(price, bar.high) > 0 ? price : bar.high, compare(price, bar.low) < 0 ? price : bar.low];
  return { ...bar, close: price, high, low, volume: add(bar.volume, quantity) ?? bar.volume };
}

/** Give the bar that a trade begins right after another; null where it is of a later one, and for months, whose lengths differ. */
function begun(bar: Bar, { price, quantity, trade_time }: Trade): Bar | null {
  const span = bar.close_time - bar.open_time;
  const length = Math.ceil(span / 1e6) * 1e6;
  const open_time = bar.open_time + length;
  if (length > LONGEST || trade_time < open_time || trade_time > open_time + span) return null;
  return { ...bar, open_time, close_time: open_time + span, open: price, high: price, low: price, close: price, volume: quantity, closed: false };
}
