/** The gateway's WebSocket: subscriptions are counted, a connection that breaks comes back by itself and subscribes anew. */

type Hear = (data: unknown, topic: string | undefined) => void;
interface Hearing {
  hear: Hear;
  ready: (() => void) | undefined;
}
interface Message { stream?: string; data?: unknown; topic?: string; op?: string; streams?: string[]; id?: number }

const BACKOFF_MS = [300, 700, 1_500, 3_000, 5_000];
const SILENT_MS = 15_000; // without a message for so long, also no answer to a ping: the connection is dead
const PING_MS = 5_000;
const PATIENCE_MS = 2_000; // without a connection for so long, whoever listens is told to go on without it
const REFUSED_MS = 5_000; // after so long a stream that was refused is asked for again
// Prices and volumes of shares are JSON numbers, whose digits are kept as they are written. A quotation mark inside a
// name has a backslash before it, so this finds members only.
const STOCK_NUMBERS = /"(price|volume)":(-?[\d.]+)/g;

class Stream {
  state = $state<"connecting" | "open" | "lost">("connecting");
  /** When something was last heard, milliseconds since 1970. */
  heard = $state(0);
  /** Counts connections. */
  round = $state(0);

  #socket: WebSocket | null = null;
  #wanted = new Map<string, Set<Hearing>>();
  #asked = new Map<string, number>(); // asked for on this connection, by which request
  #sent = new Set<string>(); // of these, those that the server has begun to send
  #requests = 0;
  #planned = false;
  #failures = 0;
  #last = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#connect();
    setInterval(() => this.#look(), PING_MS);
    addEventListener("online", () => this.#now());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#now();
    });
  }

  /**
   * Hear a stream until the returned function is called. A `*` in the place of the symbol: all of a venue. `ready` is
   * called whenever nothing is missed from now on, but something was before: at the beginning, after a break of the
   * connection, and where the server left some out. What is fetched then has no hole between it and what is heard. It is
   * also called each time that the server refuses the stream: whoever listens then goes on without it.
   */
  listen(name: string, hear: Hear, ready?: () => void): () => void {
    const one = { hear, ready };
    const all = this.#wanted.get(name) ?? new Set<Hearing>();
    all.add(one);
    this.#wanted.set(name, all);
    if (this.#sent.has(name)) queueMicrotask(() => all.has(one) && ready?.());
    else setTimeout(() => all.has(one) && !this.#sent.has(name) && ready?.(), PATIENCE_MS);
    this.#plan();
    return () => {
      all.delete(one);
      if (all.size === 0 && this.#wanted.get(name) === all) this.#wanted.delete(name);
      this.#plan();
    };
  }

  /** Connect anew: who asks has changed. */
  renew(): void {
    this.#socket?.close();
  }

  #now(): void {
    if (this.#socket !== null) return;
    clearTimeout(this.#retry);
    this.#connect();
  }

  #connect(): void {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/v1/stream`);
    this.#socket = socket;
    socket.onopen = () => {
      this.#failures = 0;
      this.#last = Date.now();
      this.#asked.clear();
      this.#sent.clear();
      this.state = "open";
      this.heard = Date.now();
      this.round++;
      this.#plan();
    };
    socket.onmessage = (message) => this.#take(String(message.data));
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.heard = this.#last;
      this.state = "lost";
      const delay = BACKOFF_MS[Math.min(this.#failures++, BACKOFF_MS.length - 1)];
      this.#retry = setTimeout(() => this.#connect(), delay);
    };
  }

  #look(): void {
    const socket = this.#socket;
    if (socket === null || socket.readyState !== WebSocket.OPEN) return;
    this.heard = this.#last;
    if (Date.now() - this.#last > SILENT_MS) {
      socket.onclose?.(new CloseEvent("close"));
      socket.close();
    } else socket.send('{"op":"ping"}');
  }

  /** Bring what is subscribed to what is wanted, once for all changes of a moment. */
  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      if (this.#socket?.readyState !== WebSocket.OPEN) return;
      const fresh = [...this.#wanted.keys()].filter((name) => !this.#asked.has(name));
      const gone = [...this.#asked.keys()].filter((name) => !this.#wanted.has(name));
      if (gone.length > 0) this.#socket.send(JSON.stringify({ op: "unsubscribe", streams: gone }));
      for (const name of gone) {
        this.#asked.delete(name);
        this.#sent.delete(name);
      }
      // Each by itself: one that is refused takes no other with it. The account is last: who asks is looked up before the
      // server reads on, and that may take a while.
      for (const name of fresh.sort((left, right) => Number(left === "account") - Number(right === "account"))) {
        this.#asked.set(name, ++this.#requests);
        this.#socket.send(JSON.stringify({ op: "subscribe", streams: [name], id: this.#requests }));
      }
    });
  }

  #take(text: string): void {
    this.#last = Date.now();
    if (text.includes('"stream":"stock:')) text = text.replace(STOCK_NUMBERS, '"$1":"$2"');
    for (const message of JSON.parse(text) as Message[])
      if (message.op !== undefined) this.#answer(message);
      else if (message.stream !== undefined) for (const { hear } of this.#hearing(message.stream)) hear(message.data, message.topic);
  }

  #answer({ op, stream, streams, id }: Message): void {
    if (op === "dropped" && stream !== undefined) for (const { ready } of this.#hearing(stream)) ready?.();
    if (op === "error") this.#refused(id);
    if (op !== "subscribed") return;
    for (const name of streams ?? []) {
      if (!this.#asked.has(name)) continue;
      this.#sent.add(name);
      for (const { ready } of this.#wanted.get(name) ?? []) ready?.();
    }
  }

  #refused(request: number | undefined): void {
    const name = [...this.#asked.keys()].find((one) => this.#asked.get(one) === request);
    if (name === undefined) return;
    setTimeout(() => {
      if (this.#asked.get(name) !== request) return;
      this.#asked.delete(name);
      this.#plan();
    }, REFUSED_MS);
    for (const { ready } of this.#wanted.get(name) ?? []) ready?.();
  }

  *#hearing(name: string): Generator<Hearing> {
    yield* this.#wanted.get(name) ?? [];
    const parts = name.split(":");
    const place = parts[0] === "stock" ? 1 : 2;
    if (parts.length <= place) return;
    parts[place] = "*";
    yield* this.#wanted.get(parts.join(":")) ?? [];
  }
}

export const stream = new Stream();
