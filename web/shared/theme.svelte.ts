/** The theme: what the system says, or what was chosen on this page (kept in this browser). */

export type Theme = "system" | "dark" | "light";
const KEPT = "barnabas.theme";

class Themes {
  chosen = $state<Theme>(read());

  constructor() {
    this.#show();
  }

  choose(theme: Theme): void {
    this.chosen = theme;
    if (theme === "system") localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, theme);
    this.#show();
  }

  #show(): void {
    document.documentElement.dataset.theme = this.chosen;
  }
}

function read(): Theme {
  const kept = localStorage.getItem(KEPT);
  return kept === "dark" || kept === "light" ? kept : "system";
}

export const themes = new Themes();
