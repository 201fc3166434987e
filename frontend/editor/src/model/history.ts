/** Undo and redo: the inverses of our own edits. What others do is never undone by us. */

import { inverse } from "./inverse";
import type { Change, Report } from "./types";

const MOST = 200;

export interface Step {
  readonly label: string;
  readonly changes: readonly Change[];
}

export class History {
  private past: Step[] = [];
  private future: Step[] = [];

  get undoable(): Step | undefined {
    return this.past.at(-1);
  }

  get redoable(): Step | undefined {
    return this.future.at(-1);
  }

  /** Take note of changes that are about to be done to `report`. */
  note(report: Report, step: Step): void {
    this.past.push({ label: step.label, changes: inverse(report, step.changes) });
    if (this.past.length > MOST) this.past.shift();
    this.future = [];
  }

  /**
   * Take a step back or forth and return what to do.
   *
   * @throws Refused where others have made it impossible; the step is gone then.
   */
  step(report: Report, direction: "undo" | "redo"): Step | undefined {
    const [from, to] = direction === "undo" ? [this.past, this.future] : [this.future, this.past];
    const step = from.pop();
    if (!step) return undefined;
    to.push({ label: step.label, changes: inverse(report, step.changes) });
    return step;
  }
}
