/** Who asks, and what their account has: fetched when the stream `account` begins, kept by it, fetched again after a break. */
import { ApiError, messageOf } from "../../../shared/api.ts";
import { ask } from "./ask.ts";
import { stream } from "./stream.svelte.ts";
import { sign } from "./decimal.ts";
import { instruments } from "./market.svelte.ts";
import type { Alert, Decision, Equity, Fill, Me, OrderEvent, Portfolio, Position } from "./types.ts";

const KEPT = 500; // of each kind
const OPEN = new Set(["new", "submitted", "accepted", "triggered", "partially_filled"]);

class Account {
  me = $state.raw<Me | null>(null);
  /** Nobody: the gateway wants a sign-in. */
  nobody = $state(false);
  failure = $state("");
  /** When the whole was fetched, milliseconds since 1970; 0: not yet. */
  at = $state(0);

  trading = $state(true);
  switch = $state("");
  equity = $state.raw<Equity[]>([]);
  positions = $state.raw<Position[]>([]);
  open = $state.raw<OrderEvent[]>([]);
  over = $state.raw<OrderEvent[]>([]);
  fills = $state.raw<Fill[]>([]);
  decisions = $state.raw<Decision[]>([]);
  alerts = $state.raw<Alert[]>([]);
  /** Conditions that hold. */
  holds = $state.raw<Alert[]>([]);

  /** Where fills of shares stand on their market's clock, which may be that of a recording; known while the page is open. */
  readonly placed = new Map<string, number>();

  owner = $derived(this.me?.role === "owner");

  #last = new Map<string, number>();
  #news: [string, unknown][] = [];
  #frame = 0;
  #whole = 0; // counts fetches, so that an older answer does not replace a newer one
  #during: [string, unknown][] = []; // what came while a fetch was under way

  /** Find out who asks, fetch everything and hear what changes; the returned function ends it. */
  start(): () => void {
    let end: (() => void) | null = null;
    let retry: ReturnType<typeof setTimeout> | undefined;
    const abort = new AbortController();
    const tried = async (work: () => Promise<void>, wait = 1_000) => {
      clearTimeout(retry);
      try {
        await work();
      } catch (error) {
        if (abort.signal.aborted) return;
        if (error instanceof ApiError && error.status === 401) return this.#forget();
        this.failure = messageOf(error);
        retry = setTimeout(() => void tried(work, Math.min(wait * 2, 5_000)), wait);
      }
    };
    void tried(async () => {
      const { me } = await ask<{ me: Me | null }>("session", { signal: abort.signal });
      if (me === null) return this.#forget();
      this.me = me;
      this.nobody = false;
      const read = () => void tried(() => this.#read(abort.signal));
      end ??= stream.listen("account", (data, topic) => this.#note(topic ?? "", data), read);
    });
    return () => {
      abort.abort();
      clearTimeout(retry);
      end?.();
    };
  }

  async #read(signal: AbortSignal): Promise<void> {
    const round = ++this.#whole;
    this.#during = [];
    const [portfolio, over, fills, decisions, alerts] = await Promise.all([
      ask<Portfolio>("portfolio", { signal }),
      ask<{ orders: OrderEvent[] }>("orders?limit=200", { signal }),
      ask<{ fills: Fill[] }>("fills?limit=500", { signal }),
      ask<{ decisions: Decision[] }>("decisions?limit=200", { signal }),
      ask<{ alerts: Alert[] }>("alerts?limit=200", { signal }),
    ]);
    if (round !== this.#whole) return;
    this.#flush();
    const newer = <T extends { seq: number }>(shown: T[], read: T[]) => {
      const top = read[0]?.seq ?? -1;
      return [...shown.filter((one) => one.seq > top), ...read].slice(0, KEPT);
    };
    const sameAccount = this.#account === portfolio.account;
    this.#account = portfolio.account;
    this.trading = portfolio.trading;
    this.switch = portfolio.switch;
    this.equity = portfolio.equity;
    this.positions = portfolio.positions;
    for (const one of portfolio.positions) instruments.get(one.instrument); // made here: what a template makes it does not hear
    this.open = portfolio.orders.toSorted((left, right) => right.seq - left.seq);
    this.holds = portfolio.alerts;
    this.over = sameAccount ? newer(this.over, over.orders) : over.orders;
    this.fills = sameAccount ? newer(this.fills, fills.fills) : fills.fills;
    this.decisions = sameAccount ? newer(this.decisions, decisions.decisions) : decisions.decisions;
    this.alerts = sameAccount ? newer(this.alerts, alerts.alerts) : alerts.alerts;
    // What came meanwhile may be newer than the answer.
    this.#last = new Map(Object.entries(portfolio.seen));
    for (const [topic, data] of this.#during.splice(0)) this.#take(topic, data);
    this.failure = "";
    this.at = Date.now();
  }
  #account = "";

  /** Return what was last told of an order. */
  order(id: string): OrderEvent | undefined {
    return this.open.find((one) => one.order === id) ?? this.over.find((one) => one.order === id);
  }

  #forget(): void {
    this.nobody = true;
    this.me = null;
    this.equity = this.positions = this.open = this.over = this.fills = this.decisions = this.alerts = this.holds = [];
    this.#last.clear();
    this.at = 0;
  }

  #note(topic: string, data: unknown): void {
    this.#news.push([topic, data]);
    if (this.#news.length > KEPT) this.#flush(); // a hidden tab has no frames
    else if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#flush());
  }

  #flush(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const news = this.#news.splice(0);
    this.#during = [...this.#during, ...news].slice(-2 * KEPT);
    for (const [topic, data] of news) this.#take(topic, data);
  }

  #take(topic: string, data: unknown): void {
    const { seq } = data as { seq: number };
    if (seq <= (this.#last.get(topic) ?? -1)) return;
    this.#last.set(topic, seq);
    const first = <T>(list: T[]) => [data as T, ...list].slice(0, KEPT);
    const replaced = <T>(list: T[], same: (one: T) => boolean) => [data as T, ...list.filter((one) => !same(one))];
    if (topic === "orders") {
      const order = data as OrderEvent;
      this.open = this.open.filter((one) => one.order !== order.order);
      if (OPEN.has(order.status)) this.open = [order, ...this.open];
      else this.over = first(this.over.filter((one) => one.order !== order.order));
    } else if (topic === "fills") {
      const fill = data as Fill;
      if (this.fills.some((one) => one.fill === fill.fill)) return;
      const quote = instruments.get(fill.instrument);
      if (quote.share && quote.time > 0) this.placed.set(fill.fill, quote.time);
      this.fills = first(this.fills);
    } else if (topic === "positions") {
      const position = data as Position;
      instruments.get(position.instrument);
      const at = this.positions.findIndex((one) => one.instrument === position.instrument);
      if (sign(position.quantity) === 0) this.positions = this.positions.filter((one) => one.instrument !== position.instrument);
      else if (at < 0) this.positions = [...this.positions, position];
      else this.positions = this.positions.with(at, position);
    } else if (topic === "equity") {
      const equity = data as Equity;
      const at = this.equity.findIndex((one) => one.currency === equity.currency);
      this.equity = at < 0 ? [...this.equity, equity] : this.equity.with(at, equity);
    } else if (topic === "trade-decisions") {
      const decision = data as Decision;
      if (this.decisions.some((one) => one.seq === decision.seq)) return;
      this.decisions = first(this.decisions);
      if (decision.rule === "kill-switch" && decision.verdict === "accepted") {
        this.trading = !decision.reason.startsWith("pulled");
        this.switch = decision.reason;
      }
    } else if (topic === "risk-alerts") {
      const alert = data as Alert;
      if (this.alerts.some((one) => one.seq === alert.seq)) return;
      this.alerts = first(this.alerts);
      const same = (one: Alert) => one.rule === alert.rule && one.subject === alert.subject;
      this.holds = alert.state === "cleared" ? this.holds.filter((one) => !same(one)) : replaced(this.holds, same);
    }
  }
}

export const account = new Account();
