/** What the gateway answers. Amounts are decimal text; times are microseconds since 1970 UTC unless their name says otherwise. */

export interface Listed { exchange: string; symbol: string; last_ms: number }
export interface Me { user: string; account: string; role: "owner" | "user"; open: boolean }

export interface Tick {
  exchange: string; symbol: string; kind: "trade" | "quote"; price: string | null; bid: string | null; ask: string | null;
  bid_size: string | null; ask_size: string | null; event_time: number | null; receive_time: number;
}
export interface Stock { symbol: string; name: string | null; price: string; volume: string | null; time: string }
export interface Bar {
  open_time: number; close_time: number; open: string; high: string; low: string; close: string; volume: string;
  closed: boolean; source: "venue" | "computed";
  /** Of bars that came by the stream: what was traded until then is in it, microseconds since 1970. */
  event_time?: number;
}
export type Level = [string, string];
export interface BookRecord {
  type: "snapshot" | "diff"; first_update_id: number; last_update_id: number; previous_update_id: number | null;
  bids: Level[]; asks: Level[]; receive_time: number;
}
export interface Trade { trade_id: number; price: string; quantity: string; buyer_is_maker: boolean; trade_time: number }
export interface Signal {
  type?: string; side?: Side; symbol: string; exchange?: string; price: string | number; time?: number | string; timestamp?: number | string;
  strategy?: string; volume?: string | number;
}

export type Side = "BUY" | "SELL";
export type OrderType = "market" | "limit" | "stop" | "take_profit" | "trailing_stop";

interface Output { seq: number; time: number; account: string }
export interface OrderEvent extends Output {
  order: string; instrument: string; step: string; status: string; side: Side; type: OrderType; quantity: string; filled: string;
  price: string | null; trigger: string | null; time_in_force: string; strategy: string; reason: string;
}
export interface Fill extends Output {
  fill: string; order: string; instrument: string; side: Side; price: string; quantity: string; fee: string; taxes: string;
  currency: string; liquidity: "maker" | "taker"; slippage: string; strategy: string;
}
export interface Position extends Output {
  instrument: string; quantity: string; available: string; average_price: string; realized: string; fees: string;
}
export interface Equity extends Output { currency: string; cash: string; held: string; positions: string; equity: string; peak: string }
export interface Decision extends Output {
  subject: string; verdict: "accepted" | "rejected"; rule: string; reason: string; numbers: Record<string, string>; order: string;
  strategy: string;
}
export interface Alert extends Output {
  rule: string; subject: string; state: "fired" | "escalated" | "cleared"; level: "warning" | "critical"; action: string;
  reason: string; numbers: Record<string, string>;
}
export interface Portfolio {
  account: string; opened: boolean; trading: boolean; switch: string; equity: Equity[]; positions: Position[]; orders: OrderEvent[];
  alerts: Alert[];
  /** Of each topic the number of the last record that is in here. */
  seen: Record<string, number>;
}
export interface Told { id: string; decision: Decision | null }
export interface Worth { time: number; equity: string; cash: string; least: string; peak: string }
export interface Sparkline { exchange: string; symbol: string; times: number[]; closes: string[] }

export interface Strategies { complete: boolean; strategies: Strategy[] }
export interface Move { time: number; side: Side; instrument: string; price: string; quantity: string }
export interface Strategy {
  alias: string; name: string; file: boolean; symbols: string[]; parameters: Record<string, unknown>;
  state: "running" | "stopped" | "failed" | null; since: number | null; who: string; reason: string;
  failure: null | { time: number; reason: string; where: string }; signals: number | null; fills: number | null;
  last_signal: Move | null; last_fill: Move | null;
  profit: null | { currency: string; realized: string; fees: string; open_fees: string; trades: number; won: number }[];
  positions: null | { instrument: string; currency: string; quantity: string; cost: string; average_price: string; since: number }[];
}
export interface StrategyTold { id: string; event: null | { verdict: "accepted" | "rejected"; reason: string; state: string | null } }

export interface Use {
  subject: string; value: string | null; share: string | null; level: "warning" | "critical" | null; since: number | null; reason: string;
}
export interface Limit { name: string; unit: "quantity" | "money" | "rate" | "orders"; scope: string; limit: string | null; uses: Use[] }
export interface Rule {
  name: string; unit: "rate" | "seconds"; on: boolean; warning: string | null; critical: string | null; action: string; uses: Use[];
}
export interface Risk {
  account: string; trading: boolean; switch: string; time: number | null; symbols: string[] | null; limits: Limit[]; rules: Rule[];
  prices: { instrument: string; price: string | null; source: string | null; age_ms: number | null }[];
}

export interface Metrics {
  currency: string; first: string; last: string; profit: string; average_profit: string | null; traded: string; fees: string; taxes: string;
  slippage: string; total_return: number; cagr: number | null; volatility: number | null; sharpe: number | null; sortino: number | null;
  calmar: number | null; max_drawdown: number; hit_rate: number | null; profit_factor: number | null; exposure: number | null;
  trades: number; fills: number; days: number; begin: number; end: number;
}
export interface Backtest {
  id: string; title: string; strategy: string; symbols: string[]; from: string | null; to: string | null; interval: string | null;
  parameters: Record<string, unknown>; cash: Record<string, string>; order_type: string | null; delay_ms: number;
  state: "queued" | "running" | "done" | "failed" | "canceled"; place: number | null; created_ms: number; started_ms: number | null;
  ended_ms: number | null; error: string;
  progress: null | { events: number; time: number | null; percent: number | null; elapsed_ms: number };
  metrics: null | Record<string, Metrics>; failures: string[];
}
export interface Comparison {
  a: Backtest; b: Backtest;
  currencies: {
    currency: string; a: Metrics | null; b: Metrics | null; times: number[]; equity_a: (string | null)[]; equity_b: (string | null)[];
  }[];
}

export interface ProcessRow {
  name: string; state: string; records: number; rate: number; lag: number | null; errors: number; restarts: number; note: string;
}
export interface Pipeline {
  services: { supported: boolean; at_ms: number | null; processes: ProcessRow[] };
  gateway: { lag: number | null; clients: number };
  ticks: { exchange: string; symbol: string; age_ms: number }[];
  gaps: null | { exchange: string; symbol: string; stream: string; cause: string; from_time: number; to_time: number; filled: boolean; told_ms: number }[];
  dead_letters: null | { kept: number; last_hour: number };
  stores: Record<string, { answers: boolean; ms: number; message: string }>;
}
