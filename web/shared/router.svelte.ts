/** The address as reactive state: what is chosen on a page stands in its URL, so that a link shows the same. */

export type Query = Record<string, string | number | boolean | null | undefined>;

class Router {
  path = $state(location.pathname);
  query = $state.raw(new URLSearchParams(location.search));

  constructor() {
    addEventListener("popstate", () => this.#read());
    // Links are plain links; those of this page are followed without loading it again.
    document.addEventListener("click", (event) => {
      if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
        return;
      const link = event.target instanceof Element ? event.target.closest("a") : null;
      if (link === null || link.target !== "" || link.hasAttribute("download") || link.origin !== location.origin) return;
      if (link.pathname.startsWith("/api/") || (link.hash !== "" && link.pathname === location.pathname)) return;
      event.preventDefault();
      this.go(link.pathname + link.search);
    });
  }

  /** Return the path's decoded parts. */
  get parts(): string[] {
    return this.path.split("/").filter(Boolean).map(decoded);
  }

  get(name: string): string {
    return this.query.get(name) ?? "";
  }

  /** Go to another address, with an entry in the browser's history. */
  go(address: string): void {
    history.pushState(null, "", address);
    this.#read();
  }

  /** Change parts of the query; null and "" take a name away. An entry in the history only where `push` asks for it. */
  set(changes: Query, push = false): void {
    const address = this.with(changes);
    if (address === location.pathname + location.search) return;
    if (push) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
    this.#read();
  }

  /** Return this page's address with a changed query. */
  with(changes: Query): string {
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === undefined || value === "" || value === false) query.delete(name);
      else query.set(name, String(value));
    }
    const text = query.toString();
    return this.path + (text === "" ? "" : `?${text}`);
  }

  #read(): void {
    this.path = location.pathname;
    this.query = new URLSearchParams(location.search);
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const router = new Router();

/** Return an address made of parts, each of them encoded. */
export function address(parts: (string | number)[], query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== null && value !== undefined && value !== "" && value !== false) search.set(name, String(value));
  const text = search.toString();
  return `/${parts.map((part) => encodeURIComponent(part)).join("/")}${text === "" ? "" : `?${text}`}`;
}
