/**
 * What lies above the canvas: every object as something that can be focused and taken, the selection,
 * guides while something snaps, and the rectangle that selects.
 */

import type { CSSProperties } from "react";
import type { Page, PageObject } from "../model/types";
import { useText, useView, useWorkspace } from "../workspace/use";
import { pageOf } from "../workspace/view";
import { nameOf } from "./names";
import { Selection } from "./Selection";
import { TextField } from "./TextField";
import { usePointer } from "./usePointer";

/** CSS pixels that a thin object gets to be taken by. */
const GRIP = 10;

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
    <div
      className={`overlay${busy ? " is-busy" : ""}${chosen.length === 1 ? " has-one" : ""}`}
      {...handlers}
    >
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
