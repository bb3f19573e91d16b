/** What stands in the order form: the book fills in its price. */
import type { OrderType, Side } from "./types.ts";

class Form {
  side = $state<Side>("BUY");
  type = $state<OrderType>("market");
  quantity = $state("");
  price = $state("");
  trigger = $state("");
  trail = $state("");
  timeInForce = $state("GTC");
  reduceOnly = $state(false);

  /** Take a price that was clicked on. */
  take(price: string): void {
    if (this.type === "stop" || this.type === "take_profit") this.trigger = price;
    else {
      this.type = "limit";
      this.price = price;
    }
  }
}

export const form = new Form();
