/** Short messages at the edge of the page, which go by themselves; failures stay until they are closed. */

export interface ToastMessage {
  id: number;
  text: string;
  bad: boolean;
}

const LASTS_MS = 5_000;

class Toasts {
  list = $state<ToastMessage[]>([]);
  #next = 1;

  say(text: string): void {
    const id = this.#add(text, false);
    setTimeout(() => this.close(id), LASTS_MS);
  }

  fail(text: string): void {
    this.#add(text, true);
  }

  close(id: number): void {
    this.list = this.list.filter((one) => one.id !== id);
  }

  #add(text: string, bad: boolean): number {
    const id = this.#next++;
    this.list = [...this.list.slice(-3), { id, text, bad }];
    return id;
  }
}

export const toasts = new Toasts();
