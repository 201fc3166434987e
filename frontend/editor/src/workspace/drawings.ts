/** The engine's drawings of the pages, asked for after changes; and the images in them. */

import type { Engine } from "../engine/commands";
import type { Drawing } from "../engine/messages";
import type { Ledger } from "../model/ledger";
import type { Report } from "../model/types";

/** Between two drawings. */
const PAUSE = 80;
const RETRY = 2_000;
/** How many states of the report are remembered, for drawings to be compared with. */
const MEMORY = 64;
/** Before an image that was not to be had is asked for again. */
const IMAGE_RETRY = 5_000;

/** A drawing, and the report as it was when the engine drew it. */
export interface Drawn {
  readonly drawing: Drawing;
  readonly report: Report;
}

interface Wanted {
  readonly ledger: Ledger;
  readonly page: string;
  readonly row: number | null;
}

export class Drawings {
  private pages = new Map<string, Drawn>();
  private memory = new Map<number, Report>();
  private wanted: Wanted | null = null;
  private asking: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private images = new Map<string, ImageBitmap | "loading" | "failed">();
  private document = 0;

  constructor(
    private readonly engine: Engine,
    private readonly redraw: () => void,
  ) {}

  of(page: string): Drawn | undefined {
    return this.pages.get(page);
  }

  /** Say what is on the screen now; a drawing is asked for where the last one does not show it. */
  want(ledger: Ledger, page: string, row: number | null): void {
    if (this.memory.size && ledger.seq < Math.max(...this.memory.keys())) this.forget();
    this.memory.delete(ledger.seq);
    this.memory.set(ledger.seq, ledger.confirmed);
    for (const seq of this.memory.keys()) {
      if (this.memory.size <= MEMORY) break;
      this.memory.delete(seq);
    }
    this.document = ledger.confirmed.id;
    this.wanted = { ledger, page, row };
    this.work(0);
  }

  /** The link has changed: try what has failed. */
  again(): void {
    this.work(0);
  }

  clear(): void {
    this.forget();
    this.wanted = null;
    this.images = new Map();
  }

  private forget(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.asking?.abort();
    this.asking = null;
    this.pages = new Map();
    this.memory = new Map();
  }

  /** An image, once it is there; the screen is drawn again then. */
  image(asset: string): ImageBitmap | undefined {
    const image = this.images.get(asset);
    if (image === undefined) void this.load(asset);
    return typeof image === "object" ? image : undefined;
  }

  /** Take an image that we have ourselves just uploaded. */
  keepImage(asset: string, image: ImageBitmap): void {
    this.images.set(asset, image);
  }

  private isShown({ ledger, page, row }: Wanted): boolean {
    const drawn = this.pages.get(page);
    if (!drawn || drawn.drawing.row !== row) return false;
    const { confirmed } = ledger;
    return (
      drawn.report.data === confirmed.data &&
      drawn.report.pages.find(({ id }) => id === page) ===
        confirmed.pages.find(({ id }) => id === page)
    );
  }

  private work(wait: number): void {
    if (this.timer !== undefined || this.asking || !this.wanted) return;
    const { wanted } = this;
    if (this.engine.link.state.phase !== "online" || this.isShown(wanted)) return;
    if (!wanted.ledger.confirmed.pages.some(({ id }) => id === wanted.page)) return; // ours alone yet
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.ask();
    }, wait);
  }

  private async ask(): Promise<void> {
    if (!this.wanted) return;
    const { ledger, page, row } = this.wanted;
    const asking = new AbortController();
    this.asking = asking;
    let wait = PAUSE;
    try {
      const answer = await this.engine.render(ledger.confirmed.id, page, row, {
        signal: asking.signal,
        timeout: 10_000,
      });
      if (asking.signal.aborted) return;
      const drawing = { ...answer, row: answer.row ?? null };
      const report = this.memory.get(drawing.seq);
      if (report) {
        this.pages.set(page, { drawing, report });
        this.redraw();
      }
      // Without the report it is newer than what we have heard, or a step that came with others.
    } catch {
      wait = RETRY;
    }
    if (asking.signal.aborted) return;
    this.asking = null;
    this.work(wait);
  }

  private async load(asset: string): Promise<void> {
    const { images } = this;
    images.set(asset, "loading");
    try {
      const blob = await this.engine.asset(this.document, asset);
      images.set(asset, await createImageBitmap(blob));
      if (images === this.images) this.redraw();
    } catch {
      images.set(asset, "failed");
      setTimeout(() => {
        images.delete(asset);
        if (images === this.images) this.redraw();
      }, IMAGE_RETRY);
    }
  }
}
