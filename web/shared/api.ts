/** Requests to the server that the page came from. 64-bit numbers are strings in every answer and stay strings. */

/** What went wrong with a request; `status` is 0 where no answer came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly word: string,
    message: string,
    readonly code: string | null = null,
    readonly position: number | null = null,
  ) {
    super(message);
  }
}

const TIMEOUT_MS = 30_000;

let csrf = "";
let signedOut: () => void = () => {};
let renew: (() => Promise<void>) | null = null;

/** Give the token that writes carry. */
export function useToken(token: string): void {
  csrf = token;
}

/** Say what happens where the server wants a login, and how a new token is fetched when the server was started anew. */
export function onSession(handlers: { signedOut: () => void; renew: () => Promise<void> }): void {
  signedOut = handlers.signedOut;
  renew = handlers.renew;
}

interface Options {
  method?: "GET" | "POST" | "DELETE";
  body?: unknown;
  signal?: AbortSignal;
}

async function answer(path: string, options: Options, timeout: boolean): Promise<Response> {
  const method = options.method ?? "GET";
  const headers: Record<string, string> = {};
  if (method !== "GET") {
    headers["X-CSRF-Token"] = csrf;
    headers["Content-Type"] = "application/json";
  }
  const signals = [options.signal, timeout ? AbortSignal.timeout(TIMEOUT_MS) : undefined].filter((one) => one !== undefined);
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: method === "GET" ? undefined : JSON.stringify(options.body ?? {}),
      signal: AbortSignal.any(signals),
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    if (error instanceof DOMException && error.name === "TimeoutError")
      throw new ApiError(0, "timeout", `No answer within ${TIMEOUT_MS / 1000} seconds.`);
    throw new ApiError(0, "offline", "The console does not answer. It may have been stopped.");
  }
  if (response.ok) return response;
  throw await failure(response);
}

async function failure(response: Response): Promise<ApiError> {
  let body: Record<string, unknown> = {};
  try {
    body = (await response.json()) as Record<string, unknown>;
  } catch {
    // No JSON: a proxy in between answered, and the status is all there is.
  }
  const text = (name: string) => (typeof body[name] === "string" ? (body[name] as string) : null);
  const position = typeof body.position === "number" ? body.position : null;
  const message = text("message") ?? `The server answered ${response.status}.`;
  return new ApiError(response.status, text("error") ?? "error", message, text("code"), position);
}

/** Send a request, again with a new token where the old one is not taken. */
async function send(path: string, options: Options, timeout: boolean): Promise<Response> {
  try {
    return await answer(path, options, timeout);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401 && path !== "/api/session") signedOut();
    const refused = error.status === 403 && /csrf|token/i.test(`${error.word} ${error.message}`);
    if (refused && renew !== null && options.method !== undefined) {
      await renew();
      return await answer(path, options, timeout);
    }
    throw error;
  }
}

/** Return the JSON answer of a request; raises `ApiError`. */
export async function ask<T>(path: string, options: Options = {}): Promise<T> {
  const response = await send(path, options, true);
  const text = await response.text();
  return (text === "" ? {} : JSON.parse(text)) as T;
}

/** Return the bytes that an address gives. */
export async function bytesOf(path: string, signal?: AbortSignal): Promise<Uint8Array> {
  return new Uint8Array(await (await send(path, { signal }, true)).arrayBuffer());
}

/** Read a stream of JSON lines as it comes: each step gives the lines of one chunk. Raises `ApiError`. */
export async function* lines<T>(path: string, signal: AbortSignal): AsyncGenerator<T[]> {
  const response = await send(path, { signal }, false);
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest: string[] = []; // the pieces of a line that has not ended: joined once, however many there are
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const parts = value.split("\n");
      const read: T[] = [];
      for (let index = 0; index < parts.length - 1; index++) {
        rest.push(parts[index] as string);
        const line = rest.join("");
        rest = [];
        if (line !== "") read.push(JSON.parse(line) as T);
      }
      rest.push(parts[parts.length - 1] as string);
      if (read.length > 0) yield read;
    }
  } catch (error) {
    if (signal.aborted || error instanceof ApiError) throw error;
    throw new ApiError(0, "offline", "The connection to the console broke off.");
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Tell what an error says, in words for the page. */
export function messageOf(error: unknown): string {
  if (error instanceof ApiError) return error.code === null ? error.message : `${error.message} (${error.code})`;
  return error instanceof Error ? error.message : String(error);
}
