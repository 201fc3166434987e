/** A panel that comes in beside the page; it blocks nothing, and Escape closes it. */

import { type ReactNode, useEffect, useRef } from "react";
import { Icon } from "../ribbon/icons";
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
      <div className="sheet-head">
        <h2>{name}</h2>
        <button
          type="button"
          className="small close"
          aria-label={t("close")}
          title={t("close")}
          onClick={close}
        >
          <Icon name="close" />
        </button>
      </div>
      {children}
    </div>
  );
}
