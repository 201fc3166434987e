/** A panel that comes in beside the page; it blocks nothing, and Escape closes it. */

import { type ReactNode, useEffect, useRef } from "react";
import { SmallTool } from "../ribbon/Tool";
import { useText, useWorkspace } from "../workspace/use";

export function Sheet({ name, children }: { name: string; children: ReactNode }) {
  const t = useText();
  const workspace = useWorkspace();
  const panel = useRef<HTMLDivElement>(null);
  const close = () => workspace.view.set({ sheet: null });
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const inside = "input, select, button:not(.close)";
    (panel.current?.querySelector<HTMLElement>(inside) ?? panel.current)?.focus();
    return () => before?.focus?.();
  }, []);
  return (
    <div
      ref={panel}
      className="sheet"
      role="dialog"
      aria-label={name}
      tabIndex={-1}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        event.stopPropagation();
        close();
      }}
    >
      <div className="panel-head">
        <h2>{name}</h2>
        <SmallTool icon="close" name={t("close")} also="close" onClick={close} />
      </div>
      {children}
    </div>
  );
}
