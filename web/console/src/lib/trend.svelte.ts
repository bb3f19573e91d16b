/** How a lag went while the page was open: a few minutes of samples, for small lines and a word. */

import { SvelteMap } from "svelte/reactivity";
import { compareDigits } from "../../../shared/numbers.ts";

const SAMPLES = 120;

export class Trend {
  readonly lines = new SvelteMap<string, string[]>();

  add(name: string, lag: string | null): void {
    if (lag === null) return;
    this.lines.set(name, [...(this.lines.get(name) ?? []), lag].slice(-SAMPLES));
  }

  /** Return the samples as numbers: a line of 20 pixels does not need the last digit. */
  values(name: string): number[] {
    return (this.lines.get(name) ?? []).map(Number);
  }

  /** Tell the direction since the first sample, in a word. */
  word(name: string): string {
    const line = this.lines.get(name) ?? [];
    const order = compareDigits(line[line.length - 1], line[0]);
    return line.length < 2 ? "" : order > 0 ? "growing" : order < 0 ? "shrinking" : "steady";
  }
}
