/** The pointer above the page: selects, drags, pulls, turns; one edit at the end of each. */

import { type PointerEvent, useRef, useState } from "react";
import { type Box, between, bounds, type Handle, type Point, touches } from "../model/geometry";
import type { PageObject } from "../model/types";
import { useWorkspace } from "../workspace/use";
import { pageOf } from "../workspace/view";
import { move, pull, turn } from "./gestures";

/** CSS pixels: less is a click. */
const THRESHOLD = 3;
const REACH = 6;

interface Gesture {
  readonly kind: "move" | "turn" | "marquee" | Handle;
  readonly from: Point;
  readonly client: Point;
  readonly objects: readonly PageObject[];
  /** What was selected when it began. */
  readonly before: readonly string[];
  /** What a click, which this may still be, selects. */
  readonly click: readonly string[];
  begun: boolean;
}

const NONE = { across: [], down: [] } as const;

export function usePointer(scale: number) {
  const workspace = useWorkspace();
  const gesture = useRef<Gesture | null>(null);
  const [marquee, setMarquee] = useState<Box | null>(null);
  const [guides, setGuides] = useState<{
    readonly across: readonly number[];
    readonly down: readonly number[];
  }>(NONE);
  const [busy, setBusy] = useState(false);

  const pointOf = (event: PointerEvent): Point => {
    const box = event.currentTarget.getBoundingClientRect();
    return { x: (event.clientX - box.left) / scale, y: (event.clientY - box.top) / scale };
  };

  const onPointerDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    event.preventDefault(); // the focus goes where we put it, and no text gets marked
    workspace.commit();
    const target = event.target as HTMLElement;
    const { selection } = workspace.state;
    const element = target.closest<HTMLElement>("[data-object]");
    const id = element?.dataset["object"];
    const handle = target.dataset["handle"] as Handle | "turn" | undefined;
    let chosen = selection;
    let click = selection;
    if (id !== undefined && !handle) {
      const isIn = selection.includes(id);
      if (event.shiftKey) chosen = isIn ? selection : [...selection, id];
      else if (!isIn) chosen = [id];
      click = event.shiftKey ? (isIn ? selection.filter((each) => each !== id) : chosen) : [id];
      if (chosen !== selection) workspace.select(chosen);
      element?.focus({ preventScroll: true });
    } else if (!handle) {
      chosen = event.shiftKey ? selection : [];
      click = chosen;
      workspace.select(chosen);
      (document.activeElement as HTMLElement | null)?.blur?.();
    }
    const page = pageOf(workspace.state);
    gesture.current = {
      kind: handle ?? (id === undefined ? "marquee" : "move"),
      from: pointOf(event),
      client: { x: event.clientX, y: event.clientY },
      objects: page?.objects.filter((object) => chosen.includes(object.id)) ?? [],
      before: chosen,
      click,
      begun: false,
    };
    event.currentTarget.setPointerCapture(event.pointerId);
  };

  const onPointerMove = (event: PointerEvent) => {
    const { current } = gesture;
    const page = pageOf(workspace.state);
    if (!current || !page) return;
    if (!current.begun) {
      const [dx, dy] = [event.clientX - current.client.x, event.clientY - current.client.y];
      if (Math.hypot(dx, dy) < THRESHOLD) return;
      current.begun = true;
      setBusy(true);
    }
    const to = pointOf(event);
    const way = { x: to.x - current.from.x, y: to.y - current.from.y };
    const keys = { shift: event.shiftKey, alt: event.altKey };
    if (current.kind === "marquee") {
      const box = between(current.from, to);
      setMarquee(box);
      const touched = page.objects
        .filter((each) => touches(bounds(each), box))
        .map(({ id }) => id);
      workspace.select([...new Set([...current.before, ...touched])]);
      return;
    }
    const { objects, kind } = current;
    if (!objects.length) return;
    if (kind === "move") {
      const reach = workspace.state.snapping ? REACH / scale : 0;
      const moved = move(objects, way, page, reach, keys);
      setGuides(moved.guides);
      workspace.show("moveObjects", "gesture", moved.changes);
    } else if (kind === "turn") workspace.show("turnObject", "gesture", turn(objects, to, keys));
    else workspace.show("resizeObject", "gesture", pull(objects, kind, way, keys));
  };

  const end = (commit: boolean) => {
    const { current } = gesture;
    gesture.current = null;
    setMarquee(null);
    setGuides(NONE);
    setBusy(false);
    if (!current) return;
    if (!current.begun) {
      if (commit) workspace.select(current.click);
    } else if (current.kind !== "marquee") {
      if (commit) workspace.commit();
      else workspace.cancel();
    }
  };

  const handlers = {
    onPointerDown,
    onPointerMove,
    onPointerUp: () => end(true),
    onPointerCancel: () => end(false),
    onKeyDown: (event: { key: string; preventDefault(): void }) => {
      if (event.key !== "Escape" || !gesture.current) return;
      event.preventDefault();
      end(false);
    },
    onDoubleClick: (event: { target: EventTarget; clientX: number; clientY: number }) => {
      // The pointer was captured, so the target is the overlay: look what lies there.
      const under = document.elementsFromPoint(event.clientX, event.clientY);
      const id = under.map((each) => (each as HTMLElement).dataset["object"]).find(Boolean);
      const object = pageOf(workspace.state)?.objects.find((each) => each.id === id);
      if (object?.kind === "text")
        workspace.view.set({ selection: [object.id], editing: object.id });
    },
  };
  return { handlers, marquee, guides, busy };
}
