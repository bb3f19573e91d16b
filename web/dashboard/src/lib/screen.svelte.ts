/** Whether the window has room for the columns beside each other. */

class Screen {
  readonly #query = matchMedia("(max-width: 980px)");
  narrow = $state(this.#query.matches);

  constructor() {
    this.#query.addEventListener("change", () => (this.narrow = this.#query.matches));
  }
}

export const screen = new Screen();
