/** What is chosen on the page, as its address has it. */
import { screen } from "./screen.svelte.ts";
import { router } from "../../../shared/router.svelte.ts";
import { SHARES, type Market } from "./market.svelte.ts";

export const INTERVALS = ["1s", "1m", "5m", "15m", "1h", "1d"];
export const TABS = [
  "positions", "open", "orders", "fills", "equity", "decisions", "alerts", "risk", "strategies", "backtests", "pipeline",
] as const;
export type Tab = (typeof TABS)[number];
export const VIEWS = ["list", "chart", "trade", "account"] as const;
export type View = (typeof VIEWS)[number];

const DEFAULTS = { crypto: "binance:BTCUSDT", ashare: "sse:600519" };

class Place {
  symbol = $derived(/^[a-z0-9_]+:[\w.-]+$/.test(router.get("symbol")) ? router.get("symbol") : DEFAULTS[router.get("market") === "ashare" ? "ashare" : "crypto"]);
  exchange = $derived(this.symbol.split(":")[0] as string);
  code = $derived(this.symbol.split(":")[1] as string);
  market = $derived<Market>(router.get("market") === "" ? marketOf(this.exchange) : router.get("market") === "ashare" ? "ashare" : "crypto");
  interval = $derived(INTERVALS.includes(router.get("interval")) ? router.get("interval") : "1m");
  tab = $derived<Tab>(TABS.find((one) => one === router.get("tab")) ?? "positions");
  view = $derived<View>(VIEWS.find((one) => one === router.get("view")) ?? "chart");
  /** The lower part takes the chart's place as well. */
  tall = $derived(router.get("tall") !== "");
  narrow = $derived(screen.narrow);

  /** The address of an instrument's page. */
  of(symbol: string): string {
    return router.with({ symbol, view: router.get("view") === "list" ? "chart" : router.get("view") });
  }

  to(market: Market): string {
    return router.with({ market, symbol: marketOf(this.exchange) === market ? this.symbol : DEFAULTS[market] });
  }
}

export function marketOf(exchange: string): Market {
  return SHARES.includes(exchange) ? "ashare" : "crypto";
}

export const place = new Place();
