/** Who asks, and what their account has: fetched when the stream `account` begins, kept by it, fetched again after a break. */
import { messageOf } from "../../../shared/api.ts";
import { ask, askFor, beginAsking } from "./ask.ts";
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

  /**
   * Find out who asks, fetch everything and hear what changes; the returned function ends it. So does an answer that the
   * gateway does not know who asks: the page then acts as nobody until somebody signs in, or it is loaded again.
   */
  start(): () => void {
    let end: (() => void) | undefined;
    let retry: ReturnType<typeof setTimeout> | undefined;
    const abort = new AbortController();
    const stop = () => {
      abort.abort();
      clearTimeout(retry);
      end?.();
    };
    const signedOut = () => {
      stop();
      this.#forget();
      this.nobody = true;
    };
    this.#forget();
    beginAsking(signedOut);
    const tried = async (work: () => Promise<void>, wait = 1_000) => {
      clearTimeout(retry);
      try {
        await work();
      } catch (error) {
        if (abort.signal.aborted) return;
        this.failure = messageOf(error);
        retry = setTimeout(() => void tried(work, Math.min(wait * 2, 5_000)), wait);
      }
    };
    void tried(async () => {
      const { me } = await ask<{ me: Me | null }>("session", { signal: abort.signal });
      if (me === null) return signedOut();
      this.me = me;
      askFor(me.user);
      const read = async () => {
        if (!(await this.#read(abort.signal))) signedOut();
      };
      end = stream.listen("account", (data, topic) => this.#note(topic ?? "", data), () => void tried(read));
    });
    return stop;
  }

  /** Fetch the whole; tell whether it is still of who asked: in another tab somebody else may have signed in. */
  async #read(signal: AbortSignal): Promise<boolean> {
    const round = ++this.#whole;
    this.#during = [];
    const [portfolio, over, fills, decisions, alerts] = await Promise.all([
      ask<Portfolio>("portfolio", { signal }),
      ask<{ orders: OrderEvent[] }>("orders?limit=200", { signal }),
      ask<{ fills: Fill[] }>("fills?limit=500", { signal }),
      ask<{ decisions: Decision[] }>("decisions?limit=200", { signal }),
      ask<{ alerts: Alert[] }>("alerts?limit=200", { signal }),
    ]);
    if (round !== this.#whole) return true;
    if (portfolio.account !== this.me?.account) return false;
    this.#flush();
    const newer = <T extends { seq: number }>(shown: T[], read: T[]) => {
      const top = read[0]?.seq ?? -1;
      return [...shown.filter((one) => one.seq > top), ...read].slice(0, KEPT);
    };
    this.trading = portfolio.trading;
    this.switch = portfolio.switch;
    this.equity = portfolio.equity;
    this.positions = portfolio.positions;
    for (const one of portfolio.positions) instruments.get(one.instrument); // made here: what a template makes it does not hear
    this.open = portfolio.orders.toSorted((left, right) => right.seq - left.seq);
    this.holds = portfolio.alerts;
    this.over = newer(this.over, over.orders);
    this.fills = newer(this.fills, fills.fills);
    this.decisions = newer(this.decisions, decisions.decisions);
    this.alerts = newer(this.alerts, alerts.alerts);
    // What came meanwhile may be newer than the answer.
    this.#last = new Map(Object.entries(portfolio.seen));
    for (const [topic, data] of this.#during.splice(0)) this.#take(topic, data);
    this.failure = "";
    this.at = Date.now();
    return true;
  }

  /** Return what was last told of an order. */
  order(id: string): OrderEvent | undefined {
    return this.open.find((one) => one.order === id) ?? this.over.find((one) => one.order === id);
  }

  #forget(): void {
    this.nobody = false;
    this.me = null;
    askFor("");
    this.failure = "";
    this.at = 0;
    this.trading = true;
    this.switch = "";
    this.equity = this.positions = this.open = this.over = this.fills = this.decisions = this.alerts = this.holds = [];
    this.#last.clear();
    this.#news = [];
    this.#during = [];
    this.#whole++;
  }

  #note(topic: string, data: unknown): void {
    if ((data as { account: string }).account !== this.me?.account) return; // of a connection that is about to be closed
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
    // What the portfolio has already changes nothing of it; the lists are other answers, which may be older than that one.
    const fresh = seq > (this.#last.get(topic) ?? -1);
    if (fresh) this.#last.set(topic, seq);
    const first = <T>(list: T[]) => [data as T, ...list].slice(0, KEPT);
    const replaced = <T>(list: T[], same: (one: T) => boolean) => [data as T, ...list.filter((one) => !same(one))];
    if (topic === "orders") {
      const order = data as OrderEvent;
      const open = OPEN.has(order.status);
      const others = (list: OrderEvent[]) => list.filter((one) => one.order !== order.order);
      if (fresh) this.open = [...(open ? [order] : []), ...others(this.open)];
      if (!open && (fresh || others(this.over).length === this.over.length)) this.over = first(others(this.over));
    } else if (topic === "fills") {
      const fill = data as Fill;
      if (this.fills.some((one) => one.fill === fill.fill)) return;
      const quote = instruments.get(fill.instrument);
      if (quote.share && quote.time > 0) this.placed.set(fill.fill, quote.time);
      this.fills = first(this.fills);
    } else if (topic === "positions" && fresh) {
      const position = data as Position;
      instruments.get(position.instrument);
      const at = this.positions.findIndex((one) => one.instrument === position.instrument);
      if (sign(position.quantity) === 0) this.positions = this.positions.filter((one) => one.instrument !== position.instrument);
      else if (at < 0) this.positions = [...this.positions, position];
      else this.positions = this.positions.with(at, position);
    } else if (topic === "equity" && fresh) {
      const equity = data as Equity;
      const at = this.equity.findIndex((one) => one.currency === equity.currency);
      this.equity = at < 0 ? [...this.equity, equity] : this.equity.with(at, equity);
    } else if (topic === "trade-decisions") {
      const decision = data as Decision;
      if (!this.decisions.some((one) => one.seq === decision.seq)) this.decisions = first(this.decisions);
      if (fresh && decision.rule === "kill-switch" && decision.verdict === "accepted") {
        this.trading = !decision.reason.startsWith("pulled");
        this.switch = decision.reason;
      }
    } else if (topic === "risk-alerts") {
      const alert = data as Alert;
      if (!this.alerts.some((one) => one.seq === alert.seq)) this.alerts = first(this.alerts);
      if (!fresh) return;
      const same = (one: Alert) => one.rule === alert.rule && one.subject === alert.subject;
      this.holds = alert.state === "cleared" ? this.holds.filter((one) => !same(one)) : replaced(this.holds, same);
    }
  }
}

export const account = new Account();
