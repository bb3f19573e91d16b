/**
 * The language of the page, and which colour a rise has. Both are chosen on the page and kept in this browser. Words are
 * fetched for the language that is spoken; nothing may be said before `ready`.
 */
import type en from "../words/en.ts";

export type Language = "en" | "zh";
export type Word = keyof typeof en;
type Words = Record<Word, string>;
export type Colours = "green-up" | "red-up";

const LANGUAGE = "barnabas.language";
const COLOURS = "barnabas.colours";
const WORDS: Record<Language, () => Promise<{ default: Words }>> = {
  en: () => import("../words/en.ts"),
  zh: () => import("../words/zh.ts"),
};

class Preferences {
  language = $state<Language>(readLanguage());
  words = $state.raw<Words>({} as Words);
  readonly ready = this.#fetch(this.language);
  /** What was chosen; null: as the language has it, red for a rise in Chinese, green elsewhere. */
  chosen = $state<Colours | null>(readColours());
  colours = $derived<Colours>(this.chosen ?? (this.language === "zh" ? "red-up" : "green-up"));

  constructor() {
    $effect.root(() => {
      $effect(() => {
        document.documentElement.lang = this.language === "zh" ? "zh-CN" : "en";
        document.documentElement.dataset.colours = this.colours;
      });
    });
  }

  /** Speak a language, as soon as its words are there; the one before where they cannot be had. */
  async speak(language: Language): Promise<void> {
    try {
      await this.#fetch(language);
    } catch {
      return;
    }
    this.language = language;
    localStorage.setItem(LANGUAGE, language);
  }

  async #fetch(language: Language): Promise<void> {
    this.words = (await WORDS[language]()).default;
  }

  paint(colours: Colours): void {
    this.chosen = colours;
    localStorage.setItem(COLOURS, colours);
  }
}

function readLanguage(): Language {
  const kept = localStorage.getItem(LANGUAGE);
  if (kept === "en" || kept === "zh") return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

function readColours(): Colours | null {
  const kept = localStorage.getItem(COLOURS);
  return kept === "green-up" || kept === "red-up" ? kept : null;
}

export const preferences = new Preferences();

/** Say something in the page's language; {names} in it are replaced. */
export function t(word: Word, values: Record<string, string | number> = {}): string {
  return preferences.words[word].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

/** Say what a word of the interface means ("partially_filled"), under a group of the dictionary; itself where it has none. */
export function named(group: string, word: string | null | undefined): string {
  if (word === null || word === undefined || word === "") return "";
  return (preferences.words as Record<string, string>)[`${group}.${word}`] ?? word.replaceAll("_", " ");
}
