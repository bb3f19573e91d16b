/** The language of the page, and which colour a rise has. Both are chosen on the page and kept in this browser. */
import en from "../words/en.ts";
import zh from "../words/zh.ts";

export type Language = "en" | "zh";
export type Word = keyof typeof en;
export type Colours = "green-up" | "red-up";

const LANGUAGE = "barnabas.language";
const COLOURS = "barnabas.colours";
const WORDS: Record<Language, Record<Word, string>> = { en, zh };

class Preferences {
  language = $state<Language>(readLanguage());
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

  speak(language: Language): void {
    this.language = language;
    localStorage.setItem(LANGUAGE, language);
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
  return WORDS[preferences.language][word].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

/** Say what a word of the interface means ("partially_filled"), under a group of the dictionary; itself where it has none. */
export function named(group: string, word: string | null | undefined): string {
  if (word === null || word === undefined || word === "") return "";
  return (WORDS[preferences.language] as Record<string, string>)[`${group}.${word}`] ?? word.replaceAll("_", " ");
}
