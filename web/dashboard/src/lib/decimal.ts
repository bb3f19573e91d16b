/** Decimal text: amounts are compared, added and multiplied exactly, as BigInt, and never become floats on the way. */

/** An amount as `units` of 10^-places. */
interface Exact {
  units: bigint;
  places: number;
}

function read(text: string | null | undefined): Exact | null {
  const match = /^([+-]?)(\d+)(?:\.(\d*))?$/.exec(text ?? "");
  if (match === null) return null;
  const fraction = match[3] ?? "";
  const units = BigInt(match[2] + fraction);
  return { units: match[1] === "-" ? -units : units, places: fraction.length };
}

function write({ units, places }: Exact): string {
  const digits = (units < 0n ? -units : units).toString().padStart(places + 1, "0");
  const whole = digits.slice(0, digits.length - places);
  const fraction = places === 0 ? "" : digits.slice(-places).replace(/0+$/, "");
  return `${units < 0n ? "-" : ""}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}

/** Bring two amounts to the same number of places. */
function level(left: Exact, right: Exact): [bigint, bigint, number] {
  const places = Math.max(left.places, right.places);
  const scaled = (one: Exact) => one.units * 10n ** BigInt(places - one.places);
  return [scaled(left), scaled(right), places];
}

type Text = string | null | undefined;

function both(left: Text, right: Text, act: (left: Exact, right: Exact) => Exact): string | null {
  const [a, b] = [read(left), read(right)];
  return a === null || b === null ? null : write(act(a, b));
}

/** Add; null where one of them is no number, as with all that follow. */
export function add(left: Text, right: Text): string | null {
  return both(left, right, (a, b) => {
    const [x, y, places] = level(a, b);
    return { units: x + y, places };
  });
}

export function subtract(left: Text, right: Text): string | null {
  return both(left, right, (a, b) => {
    const [x, y, places] = level(a, b);
    return { units: x - y, places };
  });
}

export function multiply(left: Text, right: Text): string | null {
  return both(left, right, (a, b) => ({ units: a.units * b.units, places: a.places + b.places }));
}

/** Divide, to so many places, rounded towards zero; null also for a division by zero. */
export function divide(left: Text, right: Text, places = 8): string | null {
  const [a, b] = [read(left), read(right)];
  if (a === null || b === null || b.units === 0n) return null;
  const [x, y] = level(a, b);
  return write({ units: (x * 10n ** BigInt(places)) / y, places });
}

/** Order two amounts; what is no number comes last. */
export function compare(left: Text, right: Text): number {
  const [a, b] = [read(left), read(right)];
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  const [x, y] = level(a, b);
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Tell the sign: -1, 0, 1. */
export function sign(text: Text): number {
  const units = read(text)?.units ?? 0n;
  return units < 0n ? -1 : units > 0n ? 1 : 0;
}

/** Give an amount without zeros that say nothing. */
export function plain(text: string): string {
  const exact = read(text);
  return exact === null ? text : write(exact);
}

/** Tell how many places an amount needs. */
export function placesOf(text: string): number {
  const point = text.indexOf(".");
  if (point < 0) return 0;
  let end = text.length;
  while (text[end - 1] === "0") end--;
  return Math.max(0, end - point - 1);
}

interface Shape {
  /** Places at least, and at most (rounded half away from zero beyond). */
  least?: number;
  most?: number;
  /** A sign also where it is positive. */
  signed?: boolean;
}

/** Write an amount for reading: digits in groups, 1,234.50; "–" where there is none. */
export function shown(text: Text, { least = 0, most = 8, signed = false }: Shape = {}): string {
  const exact = read(text);
  if (exact === null) return text === null || text === undefined || text === "" ? "–" : text;
  let { units, places } = exact;
  if (places > most) {
    const cut = 10n ** BigInt(places - most);
    const half = units < 0n ? -cut / 2n : cut / 2n;
    units = (units + half) / cut;
    places = most;
  }
  const [whole = "0", fraction = ""] = write({ units: units < 0n ? -units : units, places }).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  const padded = fraction.padEnd(least, "0");
  const before = units < 0n ? "−" : signed && units > 0n ? "+" : "";
  return `${before}${grouped}${padded === "" ? "" : `.${padded}`}`;
}

/** Write a rate as percent: "0.0512" is 5.12 %. */
export function percent(text: Text, most = 2, signed = false): string {
  const hundred = multiply(text, "100");
  return hundred === null ? "–" : `${shown(hundred, { most, least: most, signed })} %`;
}

/** Give a number for a picture (a curve, a bar); what is shown as an amount stays text. */
export function forDrawing(text: Text): number {
  return text === null || text === undefined ? Number.NaN : Number(text);
}

/** The one profit of the page: what an open position has gained at a price, before fees. Short quantities are negative. */
export function unrealized(quantity: Text, averagePrice: Text, price: Text): string | null {
  return multiply(subtract(price, averagePrice), quantity);
}
