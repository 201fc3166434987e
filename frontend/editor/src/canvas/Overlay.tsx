/**
 * What lies above the canvas: every object as something that can be focused and taken, the selection with
 * its handles, guides while something snaps, and the rectangle that selects.
 */

import type { CSSProperties } from "react";
import { bounds, HANDLES, type Handle, union } from "../model/geometry";
import type { Page, PageObject } from "../model/types";
import { useText, useView, useWorkspace } from "../workspace/use";
import { pageOf } from "../workspace/view";
import { nameOf } from "./names";
import { TextField } from "./TextField";
import { usePointer } from "./usePointer";

/** CSS pixels that a thin object gets to be taken by. */
const GRIP = 10;
/** CSS pixels between two edges for handles in their middle, too. */
const ROOM = 30;

export function Overlay({ scale }: { scale: number }) {
  const t = useText();
  const workspace = useWorkspace();
  const page = useView(pageOf)!;
  const selection = useView((view) => view.selection);
  const editing = useView((view) => view.editing);
  const { handlers, marquee, guides, busy } = usePointer(scale);
  const chosen = page.objects.filter(({ id }) => selection.includes(id));
  const edited = page.objects.find(({ id }) => id === editing);
  return (
    <div className={busy ? "overlay is-busy" : "overlay"} {...handlers}>
      <div
        role="listbox"
        aria-label={t("objectsOnPage")}
        aria-multiselectable="true"
        aria-orientation="vertical"
      >
        {page.objects.map((object) => (
          <div
            key={object.id}
            className={object.kind === "line" ? "object is-line" : "object"}
            role="option"
            aria-selected={selection.includes(object.id)}
            aria-label={nameOf(object, t)}
            tabIndex={0}
            data-object={object.id}
            style={placeOf(object, scale)}
            onFocus={(event) => {
              // By the keyboard: the pointer has selected by itself.
              if (event.target.matches(":focus-visible") && !selection.includes(object.id))
                workspace.select([object.id]);
            }}
          />
        ))}
      </div>
      {edited?.kind === "text" ? (
        <TextField key={edited.id} object={edited} scale={scale} />
      ) : (
        <Selection chosen={chosen} scale={scale} />
      )}
      <Lines page={page} scale={scale} guides={guides} />
      {marquee && (
        <div
          className="marquee"
          style={{
            left: marquee.x * scale,
            top: marquee.y * scale,
            width: marquee.width * scale,
            height: marquee.height * scale,
          }}
        />
      )}
    </div>
  );
}

function placeOf(object: PageObject, scale: number): CSSProperties {
  const { x, y, width, height, rotation } = object;
  const [w, h] = [Math.abs(width) * scale, Math.abs(height) * scale];
  const [left, top] = [Math.min(x, x + width) * scale, Math.min(y, y + height) * scale];
  const [across, down] = [Math.max(0, GRIP - w), Math.max(0, GRIP - h)];
  const style = { left: left - across / 2, top: top - down / 2 };
  const size = { width: w + across, height: h + down };
  return { ...style, ...size, transform: rotation ? `rotate(${rotation}deg)` : "none" };
}

function Selection({ chosen, scale }: { chosen: readonly PageObject[]; scale: number }) {
  const t = useText();
  const [object, ...more] = chosen;
  if (!object) return null;
  if (more.length) {
    const frame = union(chosen.map(bounds));
    const style = {
      left: frame.x * scale,
      top: frame.y * scale,
      width: frame.width * scale,
      height: frame.height * scale,
    };
    return (
      <>
        {chosen.map((each) => (
          <div key={each.id} className="outline is-part" style={exact(each, scale)} />
        ))}
        <div className="outline" style={style} />
      </>
    );
  }
  const isLine = object.kind === "line";
  const handles = isLine ? (["nw", "se"] as const) : HANDLES.filter(hasRoom(object, scale));
  return (
    <div className={isLine ? "outline is-line" : "outline"} style={exact(object, scale)}>
      {handles.map((handle) => (
        <div
          key={handle}
          className={`handle ${handle}`}
          data-handle={handle}
          data-testid={`handle-${handle}`}
          title={t("resize")}
          style={isLine ? endOf(object, handle === "nw", scale) : undefined}
        />
      ))}
      <div
        className="handle turn"
        data-handle="turn"
        data-testid="handle-turn"
        title={t("turn")}
      />
    </div>
  );
}

/** Whether a handle leaves the object's middle free, to be taken and dragged; corners always do. */
function hasRoom({ width, height }: PageObject, scale: number): (handle: Handle) => boolean {
  const tooLow = height * scale < ROOM ? ["n", "s"] : [];
  const tooNarrow = width * scale < ROOM ? ["w", "e"] : [];
  return (handle) => ![...tooLow, ...tooNarrow].includes(handle);
}

function exact(object: PageObject, scale: number): CSSProperties {
  const { x, y, width, height, rotation } = object;
  return {
    left: Math.min(x, x + width) * scale,
    top: Math.min(y, y + height) * scale,
    width: Math.abs(width) * scale,
    height: Math.abs(height) * scale,
    transform: rotation ? `rotate(${rotation}deg)` : "none",
  };
}

/** A line's ends are at any two opposite corners of its box. */
function endOf(object: PageObject, start: boolean, scale: number): CSSProperties {
  const { width, height } = object;
  return {
    left: (start === width < 0 ? Math.abs(width) : 0) * scale,
    top: (start === height < 0 ? Math.abs(height) : 0) * scale,
  };
}

interface LinesProps {
  readonly page: Page;
  readonly scale: number;
  readonly guides: { readonly across: readonly number[]; readonly down: readonly number[] };
}

function Lines({ page, scale, guides }: LinesProps) {
  return (
    <svg
      className="guides"
      aria-hidden="true"
      width={page.width * scale}
      height={page.height * scale}
    >
      {guides.across.map((x) => (
        <line key={`x${x}`} x1={x * scale} x2={x * scale} y1={0} y2={page.height * scale} />
      ))}
      {guides.down.map((y) => (
        <line key={`y${y}`} x1={0} x2={page.width * scale} y1={y * scale} y2={y * scale} />
      ))}
    </svg>
  );
}
