// Short messages about what was just done.

export interface Toast {
  id: number;
  text: string;
  tone: "good" | "bad";
  action?: { label: string; run: () => void };
}

const SHOWN = 10_000;

class Toasts {
  list = $state.raw<Toast[]>([]);
  #next = 1;

  show(text: string, options: Partial<Pick<Toast, "tone" | "action">> = {}): void {
    const toast: Toast = { id: this.#next++, text, tone: "good", ...options };
    this.list = [...this.list.slice(-2), toast];
    setTimeout(() => this.drop(toast.id), SHOWN);
  }

  drop(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
