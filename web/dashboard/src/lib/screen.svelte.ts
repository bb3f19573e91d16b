/** Whether the window has room for the columns beside each other. */

class Screen {
  readonly #query = matchMedia("(max-width: 980px)");
  narrow = $state(this.#query.matches);

  readonly #wide = matchMedia("(min-width: 1320px)");
  /** Whether tables have room for all of their columns. */
  roomy = $state(this.#wide.matches);

  constructor() {
    this.#wide.addEventListener("change", () => (this.roomy = this.#wide.matches));
    this.#query.addEventListener("change", () => (this.narrow = this.#query.matches));
  }
}

export const screen = new Screen();

/** Return the columns that there is room for. */
export function fitting<Column extends { wide?: boolean }>(columns: Column[]): Column[] {
  return screen.roomy ? columns : columns.filter((column) => !column.wide);
}
