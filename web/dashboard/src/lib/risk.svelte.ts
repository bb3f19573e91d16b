/** The risk of the account: polled while somebody is there. */
import { ask } from "./ask.ts";
import type { Risk } from "./types.ts";

class Risks {
  current = $state.raw<Risk | null>(null);
  async refresh(signal?: AbortSignal): Promise<Risk> {
    return (this.current = await ask<Risk>("risk", { signal }));
  }
}
export const risk = new Risks();
