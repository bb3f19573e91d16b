/** Times: one zone for the whole page, named wherever times are shown; milliseconds are always there. */

const KEPT = "barnabas.zone";
const LATEST = 8_640_000_000_000_000n; // the latest and, negative, the earliest moment that a Date can be

class Clock {
  /** The current time by this machine, a step a second. */
  now = $state(Date.now());
  local = $state(localStorage.getItem(KEPT) === "local");

  constructor() {
    setInterval(() => {
      if (!document.hidden) this.now = Date.now();
    }, 1000);
  }

  /** Name the zone in which times are shown. */
  get zone(): string {
    return this.local ? Intl.DateTimeFormat().resolvedOptions().timeZone : "UTC";
  }

  choose(local: boolean): void {
    this.local = local;
    localStorage.setItem(KEPT, local ? "local" : "utc");
  }
}

export const clock = new Clock();

const pad = (value: number, width = 2) => String(value).padStart(width, "0");

/** Write milliseconds since 1970 (digits, or a number) as a time of the chosen zone: 2026-11-26 02:20:41.123. */
export function timeText(milliseconds: string | number): string {
  const moment = dateOf(milliseconds);
  if (moment === null) return String(milliseconds) === "-1" ? "no time" : `${milliseconds} ms`;
  if (!clock.local) return moment.toISOString().replace("T", " ").replace("Z", "");
  return (
    `${pad(moment.getFullYear(), 4)}-${pad(moment.getMonth() + 1)}-${pad(moment.getDate())} ` +
    `${pad(moment.getHours())}:${pad(moment.getMinutes())}:${pad(moment.getSeconds())}.${pad(moment.getMilliseconds(), 3)}`
  );
}

function dateOf(milliseconds: string | number): Date | null {
  if (!/^-?\d+$/.test(String(milliseconds))) return null;
  const exact = BigInt(milliseconds);
  if (exact < 0n || exact > LATEST) return null;
  return new Date(Number(exact));
}

/** Write a time as the value of a datetime-local field, in the chosen zone. */
export function fieldOf(milliseconds: string): string {
  return dateOf(milliseconds) === null ? "" : timeText(milliseconds).replace(" ", "T");
}

/** Read the value of a datetime-local field, in the chosen zone; return milliseconds since 1970 as digits, or "". */
export function millisecondsOf(field: string): string {
  const moment = new Date(clock.local ? field : `${field}Z`).getTime();
  return Number.isNaN(moment) ? "" : String(moment);
}

/** Tell how long ago something was: 3 s, 2 min, 5 h. */
export function ageText(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

const SPANS: [bigint, string][] = [[86_400_000n, "day"], [3_600_000n, "hour"], [60_000n, "minute"], [1000n, "second"]];

/** Write a span of milliseconds in the largest unit that leaves no rest: 7 days, 90 minutes, 1500 ms. */
export function spanText(milliseconds: string): string {
  if (!/^\d+$/.test(milliseconds)) return milliseconds;
  const exact = BigInt(milliseconds);
  for (const [size, unit] of SPANS)
    if (exact >= size && exact % size === 0n) return `${exact / size} ${unit}${exact === size ? "" : "s"}`;
  return `${exact} ms`;
}
