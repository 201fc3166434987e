/** The field in which a text is edited on the page, as it stands there. */

import { useEffect, useRef } from "react";
import { find } from "../model/changes";
import { tidy } from "../model/geometry";
import type { TextObject } from "../model/types";
import { useText, useWorkspace } from "../workspace/use";
import { LINE_HEIGHT } from "./draft";
import { fontOf } from "./fonts";

export function TextField({ object, scale }: { object: TextObject; scale: number }) {
  const t = useText();
  const workspace = useWorkspace();
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    field.current?.focus();
    field.current?.select();
  }, []);
  const end = () => {
    workspace.commit();
    if (workspace.state.editing === object.id) workspace.view.set({ editing: null });
  };
  const { x, y, width, height, rotation } = object;
  return (
    <textarea
      ref={field}
      className="text-field"
      aria-label={t("textOnPage")}
      spellCheck={false}
      value={object.text}
      style={{
        left: x * scale,
        top: y * scale,
        width: width * scale,
        height: Math.max(height, object.size * LINE_HEIGHT) * scale,
        transform: rotation ? `rotate(${rotation}deg)` : "none",
        font: fontOf(object, scale),
        lineHeight: LINE_HEIGHT,
        color: object.color,
        textAlign: object.align,
      }}
      onChange={({ target }) => {
        // The box grows with its text, and never shrinks: what is cut off cannot be seen to be there.
        const grown = tidy(target.scrollHeight / scale);
        const set = {
          text: target.value,
          ...(target.scrollHeight > target.clientHeight + 1 && { height: grown }),
        };
        const before = workspace.settled && find(workspace.settled, object.id);
        const height = before?.height !== object.height && { height: object.height };
        workspace.type("typeText", `text ${object.id}`, [
          { op: "set", id: object.id, set: { ...height, ...set } },
        ]);
      }}
      onPointerDown={(event) => event.stopPropagation()}
      onDoubleClick={(event) => event.stopPropagation()}
      onBlur={end}
      onKeyDown={(event) => {
        const done = event.key === "Enter" && (event.ctrlKey || event.metaKey);
        if (event.key !== "Escape" && !done) return;
        event.preventDefault();
        event.stopPropagation();
        end();
        document.querySelector<HTMLElement>(`[data-object="${object.id}"]`)?.focus();
      }}
    />
  );
}
