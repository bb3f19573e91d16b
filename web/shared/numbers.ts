/** Exact numbers: 64-bit integers are strings of digits and are compared and subtracted as BigInt. */

/** Group the digits of an integer: 9,007,199,254,740,993. Anything else is returned as it is. */
export function grouped(digits: string | number | null | undefined): string {
  if (digits === null || digits === undefined) return "";
  const text = String(digits);
  return /^-?\d+$/.test(text) ? text.replace(/\B(?=(\d{3})+$)/g, ",") : text;
}

/** Read digits; null where there are none. */
export function integer(digits: string | number | null | undefined): bigint | null {
  if (digits === null || digits === undefined || !/^\s*-?\d+\s*$/.test(String(digits))) return null;
  return BigInt(String(digits).trim());
}

/** Order two strings of digits by value; what is no number comes last. */
export function compareDigits(left: string | null | undefined, right: string | null | undefined): number {
  const [a, b] = [integer(left), integer(right)];
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Subtract: left - right as digits; "" where one of them is no number. */
export function difference(left: string | null | undefined, right: string | null | undefined): string {
  const [a, b] = [integer(left), integer(right)];
  return a === null || b === null ? "" : String(a - b);
}

/** Add up; null where nothing is a number. */
export function sum(values: (string | null | undefined)[]): string | null {
  let total: bigint | null = null;
  for (const value of values) {
    const one = integer(value);
    if (one !== null) total = (total ?? 0n) + one;
  }
  return total === null ? null : String(total);
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** Write a number of bytes: 512 B, 1.5 KiB, 20 MiB. */
export function bytesText(digits: string | number | null | undefined): string {
  const exact = integer(digits);
  if (exact === null) return "";
  let unit = 0;
  let size = Number(exact);
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  return unit === 0 ? `${exact} B` : `${size < 10 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}

/** Write "1 topic", "5,000 topics". */
export function counted(count: number | string, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${String(count) === "1" ? one : many}`;
}
