/** Text from outside: what could hide or mislead is shown as a sign of its own. */

// Control characters, marks that turn the direction of the text, separators that nobody sees, halves of surrogate pairs.
const HIDDEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Return a text with its control characters and direction marks visible; `lines` keeps line ends and tabs. */
export function visible(text: string, lines = false): string {
  return text.replace(HIDDEN, (sign) => {
    const code = sign.charCodeAt(0);
    if (lines && (code === 10 || code === 9)) return sign;
    if (code < 32) return String.fromCharCode(0x2400 + code);
    if (code === 127) return "␡";
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** Return the beginning of a text on one line, for a row of a table. */
export function preview(text: string, length = 400): string {
  return visible(text.slice(0, length).replace(/\s*[\r\n]+\s*/g, " "));
}

/** Order names as people expect: topic-2 before topic-10. */
export const byName = new Intl.Collator("en", { numeric: true }).compare;

/** Quote a word for a POSIX shell. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}
