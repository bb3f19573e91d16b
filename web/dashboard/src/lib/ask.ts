/** Requests to the gateway. Writes are JSON from the page's own origin; amounts are decimal text both ways. */
import { ApiError } from "../../../shared/api.ts";
import { t } from "./language.svelte.ts";

const TIMEOUT_MS = 20_000;

let asking = 0; // counts who asks
let user = ""; // whom they were found to be
let signedOut: () => void = () => {};

/** Say that somebody begins to ask, and what happens where the gateway does not know them, or not any more (401). */
export function beginAsking(refused: () => void): void {
  asking++;
  signedOut = refused;
}

/** Say who asks, if that is known: the gateway refuses what is meant for them where somebody else has signed in since, in another tab. */
export function askFor(name: string): void {
  user = name;
}

interface Options {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  body?: unknown;
  signal?: AbortSignal;
  /** Status codes besides those of success whose answer is what was asked for. */
  also?: number[];
}

/** Return the JSON answer of a request (null for none); raises `ApiError`. */
export async function ask<T>(path: string, { method = "GET", body, signal, also = [] }: Options = {}): Promise<T> {
  const asker = asking;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetch(`/api/v1/${path}`, {
      method,
      headers: { ...(body !== undefined && { "Content-Type": "application/json" }), ...(user && { "Barnabas-User": user }) },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "offline", t("gatewaySilent"));
  }
  const text = await response.text();
  let answer: unknown = null;
  try {
    answer = text === "" ? null : JSON.parse(text);
  } catch {
    // No JSON: something in between answered, and the status is all there is.
  }
  if (response.ok || also.includes(response.status)) return answer as T;
  // Where somebody signs in, it is the password that is not known; and who asked before is nobody's concern now.
  if (response.status === 401 && asker === asking && !(path === "session" && method === "POST")) signedOut();
  const failure = (answer ?? {}) as { error?: string; message?: string };
  throw new ApiError(response.status, failure.error ?? "error", failure.message ?? t("answered", { status: response.status }));
}

/** Write a query: names without a value are left out. */
export function query(values: Record<string, string | number | null | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  return search.toString();
}
