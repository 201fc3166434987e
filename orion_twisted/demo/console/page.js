// The page on its canvas: drawing, choosing an object, moving it by mouse, touch and keys.

import { draw, hits } from "./drawing.js";

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
/** Milliseconds after the last arrow key until the move is sent: one message for a held key. */
const KEY_PAUSE = 250;
/** Screen pixels beside a thin object that still count as on it. */
const MARGIN = 5;
/** Largest zoom, screen pixels for a point. */
const MOST_ZOOM = 1.5;
/** Pixels a side: browsers refuse canvases much larger than this. */
const MOST_PIXELS = 4096;

/**
 * Calls onMove(id, x, y) when an object has been moved, onSelect(id or null) and onRemove(id);
 * mayEdit() says whether it may let anything be moved or removed now.
 * A moved object is shown at its new place until settle(id) and the show() after it.
 */
export class PageView {
  #canvas;
  #context;
  #calls;
  #page = null;
  #selected = null;
  #places = new Map(); // id -> {x, y, settled}: where an object is shown until the engine says so
  #drag = null;
  #keyTimer = null;
  #zoom = 1;

  constructor(canvas, calls) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#calls = calls;
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#moveTo(event));
    canvas.addEventListener("pointerup", (event) => this.#release(event));
    canvas.addEventListener("pointercancel", () => this.#cancel());
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.#sendKeys());
    // A finger scrolls the window, unless it is on the chosen object.
    canvas.addEventListener(
      "touchstart",
      (event) => {
        const touch = event.touches[0];
        if (event.touches.length === 1 && this.#at(touch)?.id === this.#selected) event.preventDefault();
      },
      { passive: false },
    );
    new ResizeObserver(() => this.#layout()).observe(canvas.parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  get boxes() {
    return this.#page?.boxes ?? [];
  }

  get selected() {
    return this.#selected;
  }

  /** Show what `render` answered, or nothing for null. */
  show(page) {
    this.#page = page;
    if (page === null) this.#places.clear();
    for (const [id, place] of this.#places) if (place.settled) this.#places.delete(id);
    if (!this.boxes.some((box) => box.id === this.#selected)) this.#choose(null);
    this.#canvas.hidden = page === null;
    this.#layout();
  }

  select(id) {
    this.#choose(this.boxes.some((box) => box.id === id) ? id : null);
    this.#draw();
  }

  /** The engine has answered the last move of an object: the next show() has the truth. */
  settle(id) {
    const place = this.#places.get(id);
    if (place && this.#drag?.id !== id) place.settled = true;
  }

  /** Where an object is shown, in points. */
  placeOf(id) {
    const box = this.boxes.find((each) => each.id === id);
    return box && { ...box, ...this.#places.get(id) };
  }

  #choose(id) {
    if (id === this.#selected) return;
    this.#sendKeys();
    this.#selected = id;
    this.#calls.onSelect(id);
  }

  #at(event) {
    const { left, top } = this.#canvas.getBoundingClientRect();
    const x = (event.clientX - left) / this.#zoom;
    const y = (event.clientY - top) / this.#zoom;
    const found = this.boxes.findLast((box) => hits(this.placeOf(box.id), x, y, MARGIN / this.#zoom));
    return found && { id: found.id, x, y };
  }

  #press(event) {
    if (event.button !== 0) return;
    const found = this.#at(event);
    const again = found && found.id === this.#selected;
    this.#choose(found?.id ?? null);
    if (found && this.#calls.mayEdit() && (event.pointerType !== "touch" || again)) {
      const { x, y } = this.placeOf(found.id);
      this.#canvas.setPointerCapture(event.pointerId);
      this.#drag = { id: found.id, fromX: event.clientX, fromY: event.clientY, x, y, moved: false };
    }
    this.#draw();
  }

  #moveTo(event) {
    const drag = this.#drag;
    if (drag === null) {
      this.#canvas.style.cursor = this.#at(event) ? "grab" : "default";
      return;
    }
    const dx = (event.clientX - drag.fromX) / this.#zoom;
    const dy = (event.clientY - drag.fromY) / this.#zoom;
    drag.moved ||= Math.hypot(dx, dy) * this.#zoom > 3; // a shaky click is no move
    if (!drag.moved) return;
    this.#canvas.style.cursor = "grabbing";
    this.#place(drag.id, Math.round(drag.x + dx), Math.round(drag.y + dy));
  }

  #release() {
    const drag = this.#drag;
    this.#drag = null;
    this.#canvas.style.cursor = drag ? "grab" : "default";
    if (drag?.moved) this.#report(drag.id);
  }

  #cancel() {
    if (this.#drag) this.#places.delete(this.#drag.id);
    this.#drag = null;
    this.#draw();
  }

  #key(event) {
    if (event.key === "Escape") this.select(null);
    if (this.#selected === null || !this.#calls.mayEdit()) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = KEYS[event.key];
    if (direction) {
      event.preventDefault();
      const step = event.shiftKey ? 10 : 1;
      const { x, y } = this.placeOf(this.#selected);
      this.#place(this.#selected, x + direction[0] * step, y + direction[1] * step);
      clearTimeout(this.#keyTimer);
      this.#keyTimer = setTimeout(() => this.#sendKeys(), KEY_PAUSE);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      this.#calls.onRemove(this.#selected);
    }
  }

  #sendKeys() {
    if (this.#keyTimer === null) return;
    clearTimeout(this.#keyTimer);
    this.#keyTimer = null;
    if (this.#selected !== null) this.#report(this.#selected);
  }

  #place(id, x, y) {
    this.#places.set(id, { x, y, settled: false });
    this.#draw();
  }

  #report(id) {
    const place = this.#places.get(id);
    if (place) this.#calls.onMove(id, place.x, place.y);
  }

  #layout() {
    if (this.#page === null) return;
    const { width, height } = this.#page;
    const style = getComputedStyle(this.#canvas.parentElement);
    const room = this.#canvas.parentElement.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    this.#zoom = Math.min(room / width, MOST_ZOOM);
    this.#canvas.style.width = `${width * this.#zoom}px`;
    this.#canvas.style.height = `${height * this.#zoom}px`;
    this.#draw();
  }

  #draw() {
    if (this.#page === null) return;
    const { width, height, commands } = this.#page;
    const scale = Math.min(this.#zoom * devicePixelRatio, MOST_PIXELS / Math.max(width, height));
    this.#canvas.width = Math.max(1, Math.round(width * scale));
    this.#canvas.height = Math.max(1, Math.round(height * scale));
    this.#context.setTransform(scale, 0, 0, scale, 0, 0);
    const shifts = this.boxes
      .filter((box) => this.#places.has(box.id))
      .map((box) => {
        const place = this.#places.get(box.id);
        return [...box.commands, place.x - box.x, place.y - box.y];
      });
    draw(this.#context, commands, shifts);
    const chosen = this.#selected && this.placeOf(this.#selected);
    if (chosen) this.#outline(chosen);
  }

  #outline(box) {
    const context = this.#context;
    const gap = 3 / this.#zoom;
    context.save();
    context.translate(box.x + box.width / 2, box.y + box.height / 2);
    context.rotate((box.rotation * Math.PI) / 180);
    const width = Math.abs(box.width) + 2 * gap;
    const height = Math.abs(box.height) + 2 * gap;
    context.strokeStyle = "#2f5fd0";
    context.lineWidth = 1.5 / this.#zoom;
    context.setLineDash([5 / this.#zoom, 3 / this.#zoom]);
    context.strokeRect(-width / 2, -height / 2, width, height);
    context.restore();
  }
}
