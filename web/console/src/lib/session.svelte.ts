/** Who is signed in, and whether writes are allowed. */

import { ApiError, ask, messageOf, onSession, useToken } from "../../../shared/api.ts";
import type { Session } from "./types.ts";

const RETRY_MS = 2_000;

class SessionState {
  current = $state.raw<Session | null>(null);
  /** True while a user name and password are asked for. */
  asks = $state(false);
  failure = $state("");

  constructor() {
    onSession({ signedOut: () => (this.asks = true), renew: () => this.#fetch() });
  }

  /** Read the session; try again while the console does not answer. */
  async load(): Promise<void> {
    try {
      await this.#fetch();
      this.failure = "";
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        this.asks = true;
        this.failure = "";
        return;
      }
      this.failure = messageOf(error);
      setTimeout(() => void this.load(), RETRY_MS);
    }
  }

  async signIn(user: string, password: string): Promise<void> {
    this.#take(await ask<Session>("/api/session", { method: "POST", body: { user, password } }));
  }

  async signOut(): Promise<void> {
    await ask("/api/session", { method: "DELETE" });
    this.asks = true;
  }

  async #fetch(): Promise<void> {
    this.#take(await ask<Session>("/api/session"));
  }

  #take(session: Session): void {
    this.current = session;
    useToken(session.csrf);
    this.asks = session.login === "password" && session.user === null;
  }
}

export const session = new SessionState();

/** Say why nothing can be written to a cluster; null where it can. */
export function whyNot(cluster: { readOnly: boolean } | null): string | null {
  if (session.current?.readOnly === true || cluster?.readOnly === true)
    return "This console was started with --read-only: it changes nothing.";
  return null;
}
