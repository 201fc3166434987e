/** The page on its desk: scrolls, zooms, and takes dropped images. */

import { type DragEvent, useEffect, useLayoutEffect, useRef, useState } from "react";
import { addImage } from "../workspace/images";
import { useText, useView, useWorkspace } from "../workspace/use";
import { pageOf } from "../workspace/view";
import { Overlay } from "./Overlay";
import { PageCanvas } from "./PageCanvas";
import { clamped, factor, MARGIN, PIXELS, type Room } from "./zoom";

export function Stage({ onZoom }: { onZoom: (zoom: number) => void }) {
  const t = useText();
  const workspace = useWorkspace();
  const page = useView(pageOf);
  const zoom = useView((view) => view.zoom);
  const desk = useRef<HTMLDivElement>(null);
  const sheet = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState<Room>({ width: 600, height: 400 });
  const [isOver, setIsOver] = useState(false);
  /** What has to stay under the pointer when the zoom changes: a point, and where it was. */
  const anchor = useRef<{ x: number; y: number; left: number; top: number } | null>(null);

  useEffect(() => {
    const element = desk.current!;
    const measure = () => setRoom({ width: element.clientWidth, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);

  const now = page ? factor(zoom, page, room) : 1;
  useEffect(() => onZoom(now), [now, onZoom]);

  // React listens to wheels passively, and then the browser would zoom the whole page.
  useEffect(() => {
    const element = desk.current!;
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const box = sheet.current?.getBoundingClientRect();
      if (!box) return;
      const scale = now * PIXELS;
      anchor.current = {
        x: (event.clientX - box.left) / scale,
        y: (event.clientY - box.top) / scale,
        left: event.clientX,
        top: event.clientY,
      };
      const speed = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 0.05 : 0.0018;
      workspace.view.set({ zoom: clamped(now * Math.exp(-event.deltaY * speed)) });
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  }, [now, workspace]);

  useLayoutEffect(() => {
    const kept = anchor.current;
    const box = sheet.current?.getBoundingClientRect();
    if (!kept || !box) return;
    anchor.current = null;
    const scale = now * PIXELS;
    desk.current!.scrollBy(
      box.left + kept.x * scale - kept.left,
      box.top + kept.y * scale - kept.top,
    );
  }, [now]);

  useEffect(() => {
    workspace.centre = () => {
      const [whole, seen] = [sheet.current, desk.current].map((each) =>
        each?.getBoundingClientRect(),
      );
      if (!whole || !seen) return null;
      const scale = now * PIXELS;
      const middle = (from: number, to: number) => Math.round((from + to) / 2);
      return {
        x:
          middle(Math.max(whole.left, seen.left), Math.min(whole.right, seen.right)) / scale -
          whole.left / scale,
        y:
          middle(Math.max(whole.top, seen.top), Math.min(whole.bottom, seen.bottom)) / scale -
          whole.top / scale,
      };
    };
  }, [now, workspace]);

  const drop = (event: DragEvent) => {
    event.preventDefault();
    setIsOver(false);
    const box = sheet.current?.getBoundingClientRect();
    const [file] = event.dataTransfer.files;
    if (!file || !box) return;
    const scale = now * PIXELS;
    void addImage(workspace, file, {
      x: (event.clientX - box.left) / scale,
      y: (event.clientY - box.top) / scale,
    });
  };

  return (
    <section
      className={isOver ? "desk is-over" : "desk"}
      aria-label={t("pageCanvas")}
      ref={desk}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        setIsOver(true);
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={drop}
      onPointerDown={(event) => {
        if (event.target === event.currentTarget) workspace.select([]);
      }}
    >
      {page && (
        <div
          ref={sheet}
          className="sheet-of-paper"
          style={{
            width: page.width * now * PIXELS,
            height: page.height * now * PIXELS,
            margin: MARGIN,
          }}
        >
          <PageCanvas scale={now * PIXELS} />
          <Overlay scale={now * PIXELS} />
        </div>
      )}
    </section>
  );
}
