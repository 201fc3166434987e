/** One cell of the data grid. */

import { useEffect, useRef } from "react";
import { useText } from "../workspace/use";

interface CellProps {
  readonly value: string;
  readonly head: boolean;
  readonly active: boolean;
  readonly editing: boolean;
  readonly column: number;
  readonly onTake: () => void;
  readonly onEdit: () => void;
  /** With null the value stays; `to` is how many cells further to go on, or that the focus has left. */
  readonly onEnd: (value: string | null, to: -1 | 0 | 1 | "away") => void;
}

export function Cell({ value, head, active, editing, column, onTake, onEdit, onEnd }: CellProps) {
  return (
    // biome-ignore-start lint/a11y: the role is one of two, and both take these; the grid hears the keys
    <div
      role={head ? "columnheader" : "gridcell"}
      aria-colindex={column + 1}
      className={active ? "cell is-active" : "cell"}
      tabIndex={active ? 0 : -1}
      title={value}
      onClick={() => !editing && onTake()}
      onDoubleClick={onEdit}
    >
      {editing ? <CellField value={value} onEnd={onEnd} /> : value}
    </div>
    // biome-ignore-end lint/a11y: the role is one of two, and both take these; the grid hears the keys
  );
}

function CellField({ value, onEnd }: Pick<CellProps, "value" | "onEnd">) {
  const t = useText();
  const field = useRef<HTMLInputElement>(null);
  const isDone = useRef(false);
  useEffect(() => {
    field.current?.focus();
    field.current?.select();
  }, []);
  const end = (text: string | null, to: -1 | 0 | 1 | "away") => {
    if (isDone.current) return;
    isDone.current = true;
    onEnd(text, to);
  };
  return (
    <input
      ref={field}
      aria-label={t("cell")}
      defaultValue={value}
      onBlur={({ target }) => end(target.value, "away")}
      onKeyDown={(event) => {
        const { value: text } = event.currentTarget;
        event.stopPropagation();
        if (event.key === "Enter") end(text, 0);
        else if (event.key === "Escape") end(null, 0);
        else if (event.key === "Tab") {
          event.preventDefault();
          end(text, event.shiftKey ? -1 : 1);
        }
      }}
    />
  );
}
