/** What is said in passing: shown for a while, or for the ear alone. */

import type { Store } from "./store";
import type { Said, Toast, View } from "./view";

const LIFE = 8_000;
const MOST = 3;

export class Toasts {
  private number = 0;

  constructor(private readonly view: Store<View>) {}

  /** Say, for the ear, what the eye can see happen. */
  say(said: Said): void {
    this.view.set({ said: { ...said } });
  }

  /**
   * Show a message.
   *
   * @param undo it tells of the last edit, and offers to undo that
   */
  show(said: Said, tone: Toast["tone"] = "info", undo = false): void {
    this.number += 1;
    const id = this.number;
    this.view.set({ toasts: [...this.view.get().toasts, { id, said, tone, undo }].slice(-MOST) });
    setTimeout(() => this.forget(id), tone === "warning" ? 2 * LIFE : LIFE);
  }

  /** Another edit follows: what a message offers to undo is not the last one any more. */
  outdate(): void {
    const { toasts } = this.view.get();
    if (toasts.some(({ undo }) => undo))
      this.view.set({ toasts: toasts.map((each) => ({ ...each, undo: false })) });
  }

  forget(id: number): void {
    this.view.set({ toasts: this.view.get().toasts.filter((each) => each.id !== id) });
  }
}
