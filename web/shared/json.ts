/** Read JSON into a tree that keeps every number as it is written: 9007199254740993 and 1.10 stay what they are. */

export interface JsonNode {
  kind: "object" | "array" | "string" | "number" | "word";
  /** Numbers and words as they are written; strings without quotes, their escapes resolved. */
  text: string;
  /** The members of an object, the elements of an array (with their index as name). */
  children: [string, JsonNode][];
}

const DEPTH = 200;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/sy;
const WORD = /true|false|null/y;
const SPACE = /[ \t\r\n]*/y;

/** Return the tree of a JSON text; null where it is no JSON or deeper than 200 levels. */
export function parseJson(source: string): JsonNode | null {
  let at = 0;

  const taken = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(source);
    if (found === null) return null;
    at += found[0].length;
    return found[0];
  };
  const sign = (wanted: string): boolean => {
    taken(SPACE);
    if (source[at] !== wanted) return false;
    at++;
    return true;
  };
  const string = (): string | null => {
    const token = taken(STRING);
    if (token === null) return null;
    try {
      return JSON.parse(token) as string; // one string: no number passes through here
    } catch {
      return null;
    }
  };
  const value = (depth: number): JsonNode | null => {
    taken(SPACE);
    const first = source[at];
    if (depth > DEPTH) return null;
    if (first === "{" || first === "[") {
      at++;
      return members(first === "{", depth);
    }
    if (first === '"') {
      const text = string();
      return text === null ? null : { kind: "string", text, children: [] };
    }
    const number = taken(NUMBER);
    if (number !== null && number !== "") return { kind: "number", text: number, children: [] };
    const word = taken(WORD);
    return word === null ? null : { kind: "word", text: word, children: [] };
  };
  const members = (named: boolean, depth: number): JsonNode | null => {
    const node: JsonNode = { kind: named ? "object" : "array", text: "", children: [] };
    const end = named ? "}" : "]";
    if (sign(end)) return node;
    do {
      let name: string | null = String(node.children.length);
      if (named) {
        taken(SPACE);
        name = string();
        if (name === null || !sign(":")) return null;
      }
      const child = value(depth + 1);
      if (child === null) return null;
      node.children.push([name, child]);
    } while (sign(","));
    return sign(end) ? node : null;
  };

  const tree = value(0);
  taken(SPACE);
  return at === source.length ? tree : null;
}

/** Write a tree with indents, its numbers as they were read. */
export function prettyJson(node: JsonNode, indent = ""): string {
  if (node.kind === "string") return JSON.stringify(node.text);
  if (node.kind === "number" || node.kind === "word") return node.text;
  const [open, close] = node.kind === "object" ? "{}" : "[]";
  if (node.children.length === 0) return `${open}${close}`;
  const inner = `${indent}  `;
  const rows = node.children.map(
    ([name, child]) => inner + (node.kind === "object" ? `${JSON.stringify(name)}: ` : "") + prettyJson(child, inner),
  );
  return `${open}\n${rows.join(",\n")}\n${indent}${close}`;
}
