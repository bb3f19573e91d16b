/** Times of the interface, microseconds since 1970, in UTC. */

const pad = (value: number, width = 2) => String(value).padStart(width, "0");

/** Write a time whole: 2026-11-26 02:20:41.123. */
export function moment(microseconds: number | null | undefined): string {
  if (microseconds === null || microseconds === undefined) return "–";
  const date = new Date(Math.floor(microseconds / 1000));
  return Number.isNaN(date.getTime()) ? "–" : date.toISOString().replace("T", " ").replace("Z", "");
}

/** Write the time of day: 02:20:41.123. */
export function hour(microseconds: number): string {
  const date = new Date(Math.floor(microseconds / 1000));
  return `${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())}:${pad(date.getUTCSeconds())}.${pad(date.getUTCMilliseconds(), 3)}`;
}
