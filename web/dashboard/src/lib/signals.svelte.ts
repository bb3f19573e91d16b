/** What strategies signalled since the page was opened, and the last signal of each from before. */
import { instruments } from "./market.svelte.ts";
import { stream } from "./stream.svelte.ts";
import type { Side, Strategy } from "./types.ts";

interface Signalled { key: string; instrument: string; side: Side; time: number; strategy: string }
interface Record { signal: Side; symbol: string; strategy: string }
const KEPT = 200;

class Signals {
  list = $state.raw<Signalled[]>([]);
  #count = 0;

  listen(): () => void {
    return stream.listen("signal", (data) => {
      const { signal, symbol, strategy } = data as Record;
      const known = instruments.list.filter((one) => one.symbol === symbol);
      const quote = known.find((one) => one.exchange === instruments.primary) ?? known[0];
      if (quote === undefined) return;
      // A signal carries no time: it belongs to the newest one of its market.
      const time = quote.time || Date.now() * 1000;
      this.#add({ key: `signal-${this.#count++}`, instrument: quote.key, side: signal, time, strategy });
    });
  }

  /** Take in what is told of strategies; the times are the clock's, which says nothing where shares are played. */
  know(strategies: Strategy[]): void {
    for (const { alias, last_signal: last } of strategies)
      if (last !== null && !instruments.get(last.instrument).share) {
        const key = `${alias}@${last.time}`;
        const near = (one: Signalled) => one.strategy === alias && Math.abs(one.time - last.time) < 5e6;
        if (!this.list.some((one) => one.key === key || near(one)))
          this.#add({ key, instrument: last.instrument, side: last.side, time: last.time, strategy: alias });
      }
  }

  #add(one: Signalled): void {
    this.list = [one, ...this.list].slice(0, KEPT);
  }
}

export const signals = new Signals();
