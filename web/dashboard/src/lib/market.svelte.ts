/** Every instrument that is known, and its newest price. What arrives is gathered and shown once a frame. */
import { ask } from "./ask.ts";
import { placesOf } from "./decimal.ts";
import { stream } from "./stream.svelte.ts";
import type { Listed, Sparkline, Stock, Tick } from "./types.ts";

export type Market = "crypto" | "ashare";
export const SHARES = ["sse", "szse", "hkex"];

/** One instrument. Only rows that are drawn listen to it, so that a change of any other costs nothing. */
export class Quote {
  price = $state("");
  bid = $state("");
  ask = $state("");
  /** 1 after a rise, -1 after a fall: of the last change. */
  turn = $state(0);
  /** Counts changes, so that a row can flash. */
  changes = $state(0);
  name = $state("");
  /** The newest time of its market, microseconds since 1970; 0: none yet. A market that is played from a recording has its own. */
  time = 0;
  /** By this machine's clock, milliseconds since 1970. */
  at = $state(0);
  /** Places that the prices of this instrument have. */
  places = $state(2);
  spark = $state.raw<string[]>([]);

  readonly key: string;
  constructor(readonly exchange: string, readonly symbol: string) {
    this.key = `${exchange}:${symbol}`;
  }

  get share(): boolean {
    return SHARES.includes(this.exchange);
  }
}

interface News { time?: number; price?: string; bid?: string; ask?: string; name?: string }

class Instruments {
  list = $state.raw<Quote[]>([]);
  primary = $state("binance");
  ready = $state(false);
  failed = $state(false);

  #known = new Map<string, Quote>();
  #news = new Map<string, News>();
  #frame = 0;

  /** Return an instrument by its key, exchange:symbol. */
  get(key: string): Quote {
    let quote = this.#known.get(key);
    if (quote === undefined) {
      const [exchange = "", symbol = ""] = key.split(":");
      quote = new Quote(exchange, symbol);
      this.#known.set(key, quote);
    }
    return quote;
  }

  async refresh(signal: AbortSignal): Promise<void> {
    const answer = await ask<{ primary: string; symbols: Listed[] }>("symbols", { signal });
    this.primary = answer.primary;
    const listed = answer.symbols.map((one) => this.get(`${one.exchange}:${one.symbol}`));
    const before = new Set(listed);
    this.list = [...listed, ...this.list.filter((one) => !before.has(one))];
    this.ready = true;
  }

  /** Hear the ticks of a market's venues. */
  listen(market: Market, venues: string[]): () => void {
    if (market === "ashare") return stream.listen("stock:*", (data) => this.#stock(data as Stock));
    const ends = venues.map((venue) => stream.listen(`tick:${venue}:*`, (data) => this.#tick(data as Tick)));
    return () => ends.forEach((end) => end());
  }

  async sparklines(quotes: Quote[], signal: AbortSignal): Promise<void> {
    const symbols = quotes.slice(0, 100).map((quote) => quote.key).join(",");
    const { series } = await ask<{ series: Sparkline[] }>(`sparklines?points=60&symbols=${encodeURIComponent(symbols)}`, { signal });
    for (const one of series) {
      const quote = this.get(`${one.exchange}:${one.symbol}`);
      quote.spark = one.closes;
      const last = one.closes.at(-1);
      if (quote.price === "" && last !== undefined) quote.price = last;
      quote.places = Math.max(quote.places, ...one.closes.map(placesOf));
    }
  }

  #tick(tick: Tick): void {
    this.#note(`${tick.exchange}:${tick.symbol}`, {
      time: tick.event_time ?? tick.receive_time, price: tick.price ?? tick.bid ?? undefined, bid: tick.bid ?? undefined, ask: tick.ask ?? undefined,
    });
  }

  #stock(stock: Stock): void {
    const quote = this.get(`${venueOf(stock.symbol)}:${stock.symbol}`);
    if (!this.list.includes(quote)) this.list = [...this.list, quote];
    this.#note(quote.key, { time: shanghai(stock.time), price: stock.price, name: stock.name ?? undefined });
  }

  #note(key: string, news: News): void {
    this.#news.set(key, { ...this.#news.get(key), ...news });
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#show());
  }

  #show(): void {
    this.#frame = 0;
    const now = Date.now();
    for (const [key, news] of this.#news) {
      const quote = this.get(key);
      quote.at = now;
      if (news.time !== undefined) quote.time = news.time;
      if (news.bid !== undefined) quote.bid = news.bid;
      if (news.ask !== undefined) quote.ask = news.ask;
      if (news.name !== undefined) quote.name = news.name;
      if (news.price !== undefined && news.price !== quote.price) {
        if (quote.price !== "") quote.turn = Number(news.price) > Number(quote.price) ? 1 : -1;
        quote.price = news.price;
        quote.changes++;
        const places = placesOf(news.price);
        if (places > quote.places) quote.places = places;
      }
    }
    this.#news.clear();
  }
}

/** Tell the venue of a share's symbol, by the ranges that the platform goes by (model/markets.py). */
function venueOf(symbol: string): string {
  if (symbol.length === 5 || symbol.startsWith("hk")) return "hkex";
  return /^(sh|60|68|90|5|11[0138]|204)/.test(symbol) ? "sse" : "szse";
}

/** Read the time of a share's record; undefined where it has no date. */
export function shanghai(text: string): number | undefined {
  const time = new Date(`${text.replace(" ", "T")}+08:00`).getTime();
  return Number.isNaN(time) ? undefined : time * 1000;
}

export const instruments = new Instruments();
