/** One stop of the Tab key for a whole bar; the arrows, Home and End go about in it. */

import { type KeyboardEvent, type RefObject, useLayoutEffect, useRef } from "react";

const STOPS = "button:not(:disabled):not([role=menuitem]), select:not(:disabled)";

export function useRoving<E extends HTMLElement>(): {
  ref: RefObject<E | null>;
  onKeyDown: (event: KeyboardEvent) => void;
} {
  const ref = useRef<E>(null);
  const current = useRef<Element | null>(null);
  const stops = () => [...(ref.current?.querySelectorAll<HTMLElement>(STOPS) ?? [])];
  const settle = () => {
    const all = stops();
    const chosen =
      all.find((each) => each.getAttribute("aria-selected") === "true") ??
      all.find((each) => each === current.current) ??
      all[0];
    for (const each of all) each.tabIndex = each === chosen ? 0 : -1;
  };
  useLayoutEffect(settle);
  const onKeyDown = (event: KeyboardEvent) => {
    const all = stops();
    const at = all.indexOf(event.target as HTMLElement);
    if (at < 0 || (event.target as Element).tagName === "SELECT") return;
    const to =
      event.key === "ArrowRight"
        ? all[(at + 1) % all.length]
        : event.key === "ArrowLeft"
          ? all[(at - 1 + all.length) % all.length]
          : event.key === "Home"
            ? all[0]
            : event.key === "End"
              ? all.at(-1)
              : undefined;
    if (!to) return;
    event.preventDefault();
    current.current = to;
    for (const each of all) each.tabIndex = each === to ? 0 : -1;
    to.focus();
    if (to.getAttribute("role") === "tab") to.click();
  };
  return { ref, onKeyDown };
}
