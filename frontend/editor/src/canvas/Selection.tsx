/** The selection's outline and its handles: of one object, or of the frame around several. */

import type { CSSProperties } from "react";
import { type Box, bounds, HANDLES, type Handle, isAskew, union } from "../model/geometry";
import type { PageObject } from "../model/types";
import { useText } from "../workspace/use";

/** CSS pixels between two edges for handles in their middle, too. */
const ROOM = 30;

export function Selection({ chosen, scale }: { chosen: readonly PageObject[]; scale: number }) {
  const [object, ...more] = chosen;
  if (!object) return null;
  if (more.length) {
    const frame = union(chosen.map(bounds));
    // Side by side with the page, an object that is askew would have to become a rhomboid.
    const corners = chosen.some(isAskew) ? HANDLES.filter((each) => each.length > 1) : HANDLES;
    return (
      <>
        {chosen.map((each) => (
          <div key={each.id} className="outline is-part" style={exact(each, scale)} />
        ))}
        <div className="outline" style={exact({ ...frame, rotation: 0 }, scale)}>
          <Handles of={corners.filter(hasRoom(frame, scale))} />
        </div>
      </>
    );
  }
  const isLine = object.kind === "line";
  return (
    <div className={isLine ? "outline is-line" : "outline"} style={exact(object, scale)}>
      {isLine ? (
        <Handles of={["nw", "se"]} at={(handle) => endOf(object, handle === "nw", scale)} />
      ) : (
        <Handles of={HANDLES.filter(hasRoom(object, scale))} />
      )}
    </div>
  );
}

interface HandlesProps {
  readonly of: readonly Handle[];
  readonly at?: (handle: Handle) => CSSProperties;
}

function Handles({ of, at }: HandlesProps) {
  const t = useText();
  return (
    <>
      {of.map((handle) => (
        <div
          key={handle}
          className={`handle ${handle}`}
          data-handle={handle}
          data-testid={`handle-${handle}`}
          title={t("resize")}
          style={at?.(handle)}
        />
      ))}
      <div
        className="handle turn"
        data-handle="turn"
        data-testid="handle-turn"
        title={t("turn")}
      />
    </>
  );
}

/** Whether a handle leaves the middle free, to be taken and dragged; corners always do. */
function hasRoom({ width, height }: Box, scale: number): (handle: Handle) => boolean {
  const tooLow = height * scale < ROOM ? ["n", "s"] : [];
  const tooNarrow = width * scale < ROOM ? ["w", "e"] : [];
  return (handle) => ![...tooLow, ...tooNarrow].includes(handle);
}

function exact(box: Box & { readonly rotation: number }, scale: number): CSSProperties {
  const { x, y, width, height, rotation } = box;
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
