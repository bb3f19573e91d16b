/** One scan over the records of a topic: what it found, how far it got, and what stops it. */

import { ApiError, lines } from "../../../shared/api.ts";
import { timeText } from "../../../shared/time.svelte.ts";
import type { KafkaRecord, Progress, ScanLine } from "./types.ts";

export const CAP = 500; // rows of a live view
const RETRY_MS = [1_000, 2_000, 4_000, 5_000];

/** A record with what orders it; BigInt, because offsets and times are 64 bits. */
export interface Row extends KafkaRecord {
  at: bigint;
  place: bigint;
}

export type ScanState = "idle" | "running" | "waiting" | "ended" | "stopped" | "failed";

export class Scan {
  rows = $state.raw<Row[]>([]);
  /** Rows that came while the view was held. */
  held = $state.raw<Row[]>([]);
  progress = $state.raw<Progress | null>(null);
  state = $state<ScanState>("idle");
  reason = $state("");
  message = $state("");
  failure = $state.raw<ApiError | null>(null);
  /** Where the scan would go on: "0:15,3:7"; "" where there is no more. */
  next = $state("");
  endedAt = $state(0);
  /** Records that a live view received, also those that have left it. */
  received = $state(0);
  /** While held, a live view keeps its rows and collects what is new. */
  hold = $state(false);

  #abort: AbortController | null = null;
  #waiting: Row[] = []; // rows for the next frame
  #frame = 0;
  #newest = false;
  #live = false;

  get busy(): boolean {
    return this.state === "running" || this.state === "waiting";
  }

  /** Start anew; what ran before is stopped. */
  start(path: string, mode: string): void {
    this.stop();
    this.#newest = mode === "newest";
    this.#live = mode === "live";
    this.rows = [];
    this.held = [];
    this.progress = null;
    this.failure = null;
    this.message = "";
    this.reason = "";
    this.next = "";
    this.received = 0;
    this.hold = false;
    this.#waiting = [];
    const abort = new AbortController();
    this.#abort = abort;
    void this.#run(path, abort, 0);
  }

  stop(): void {
    if (this.#abort === null) return;
    this.#abort.abort();
    this.#abort = null;
    this.#flush();
    if (this.busy) {
      this.state = "stopped";
      this.endedAt = Date.now();
    }
  }

  /** Show what came while the view was held. */
  release(): void {
    this.hold = false;
    this.rows = [...this.held, ...this.rows].slice(0, CAP);
    this.held = [];
  }

  async #run(path: string, abort: AbortController, failures: number): Promise<void> {
    this.state = "running";
    try {
      for await (const some of lines<ScanLine>(path, abort.signal)) {
        if (abort.signal.aborted) return;
        if (failures > 0) this.message = `Connected again at ${timeText(Date.now())}. What came in between is not shown.`;
        failures = 0;
        for (const line of some) this.#take(line);
        if (this.#waiting.length > 0 && this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#flush());
      }
      if (abort.signal.aborted) return;
      this.#flush();
      if (this.state === "running") {
        if (this.#live) return this.#again(path, abort, failures, "The stream ended.");
        this.state = "failed";
        this.message = "The stream ended before the scan did.";
      }
    } catch (error) {
      if (abort.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.#flush();
      if (this.#live && (error.status === 0 || error.status === 503))
        return this.#again(path, abort, failures, error.message);
      this.state = "failed";
      this.failure = error;
      this.message = error.message;
    }
    this.endedAt = Date.now();
  }

  /** Connect a live view again after a while. */
  #again(path: string, abort: AbortController, failures: number, why: string): void {
    this.state = "waiting";
    this.message = `${why} Trying again.`;
    const delay = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)];
    setTimeout(() => {
      if (!abort.signal.aborted) void this.#run(path, abort, failures + 1);
    }, delay);
  }

  #take(line: ScanLine): void {
    if (line.t === "record") {
      this.#waiting.push({ ...line, at: BigInt(line.timestamp), place: BigInt(line.offset) });
      if (this.#live && this.#waiting.length > 2 * CAP) this.#waiting = this.#waiting.slice(-CAP);
      this.received++;
      return;
    }
    this.progress = line;
    if (line.t !== "end") return;
    this.state = line.reason === "error" ? "failed" : "ended";
    this.reason = line.reason;
    const on = Object.entries(line.next);
    this.next = line.reason === "end" ? "" : on.map(([partition, offset]) => `${partition}:${offset}`).join(",");
    this.message = line.message ?? "";
  }

  /** Put what has come into the rows, once a frame. */
  #flush(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const come = this.#waiting;
    if (come.length === 0) return;
    this.#waiting = [];
    if (this.#live) {
      come.reverse();
      if (this.hold) this.held = [...come, ...this.held].slice(0, CAP);
      else this.rows = [...come, ...this.rows].slice(0, CAP);
    } else {
      const rows = [...this.rows, ...come];
      this.rows = this.#newest ? rows.sort(newestFirst) : rows;
    }
  }
}

function newestFirst(left: Row, right: Row): number {
  if (left.at !== right.at) return left.at < right.at ? 1 : -1;
  if (left.partition !== right.partition) return right.partition - left.partition;
  return left.place < right.place ? 1 : left.place > right.place ? -1 : 0;
}

export const keyOf = (row: { partition: number; offset: string }) => `${row.partition}:${row.offset}`;

/** Read partitions as people write them ("0, 2-5"); null where it is no such list. */
export function partitionsOf(text: string): number[] | null {
  const found = new Set<number>();
  for (const word of text.split(",").map((one) => one.trim()).filter(Boolean)) {
    const range = /^(\d{1,6})(?:\s*-\s*(\d{1,6}))?$/.exec(word);
    if (range === null) return null;
    const [from, to] = [Number(range[1]), Number(range[2] ?? range[1])];
    if (to < from || to - from > 10_000) return null;
    for (let id = from; id <= to; id++) found.add(id);
  }
  return [...found].sort((left, right) => left - right);
}
