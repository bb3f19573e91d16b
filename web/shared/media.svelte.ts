/** What the window is like. */

class Media {
  readonly #query = matchMedia("(max-width: 760px)");
  narrow = $state(this.#query.matches);

  constructor() {
    this.#query.addEventListener("change", () => (this.narrow = this.#query.matches));
  }
}

export const media = new Media();
