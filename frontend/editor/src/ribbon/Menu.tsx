/** A button that opens a menu of words. */

import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { Icon, type IconName } from "./icons";

interface MenuProps {
  readonly icon: IconName;
  readonly name: string;
  readonly disabled?: boolean;
  readonly items: readonly string[];
  readonly onChoose: (item: string) => void;
}

export function Menu({ icon, name, disabled, items, onChoose }: MenuProps) {
  const [at, setAt] = useState<{ left: number; top: number } | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const open = () => {
    const { left, bottom } = button.current!.getBoundingClientRect();
    setAt({ left: Math.min(left, innerWidth - 220), top: bottom + 4 });
  };
  const close = () => {
    setAt(null);
    button.current?.focus();
  };
  useEffect(() => {
    if (!at) return;
    list.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    const away = (event: PointerEvent) => {
      if (!list.current?.contains(event.target as Node)) setAt(null);
    };
    document.addEventListener("pointerdown", away, true);
    return () => document.removeEventListener("pointerdown", away, true);
  }, [at]);
  const onKeyDown = (event: KeyboardEvent) => {
    const all = [...list.current!.querySelectorAll<HTMLElement>("[role=menuitem]")];
    const index = all.indexOf(document.activeElement as HTMLElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) all[(index + step + all.length) % all.length]!.focus();
    else if (event.key === "Escape" || event.key === "Tab") close();
    else if (event.key !== "Home" && event.key !== "End") return;
    else (event.key === "Home" ? all[0]! : all.at(-1)!).focus();
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <>
      <button
        ref={button}
        type="button"
        className="tool large"
        aria-label={name}
        aria-haspopup="menu"
        aria-expanded={at !== null}
        title={name}
        disabled={disabled}
        onClick={() => (at ? setAt(null) : open())}
      >
        <Icon name={icon} />
        <span>{name} ▾</span>
      </button>
      {at && (
        <div
          ref={list}
          className="menu"
          role="menu"
          aria-label={name}
          tabIndex={-1}
          style={at}
          onKeyDown={onKeyDown}
        >
          {items.map((item) => (
            <button
              key={item}
              type="button"
              role="menuitem"
              tabIndex={-1}
              onClick={() => {
                close();
                onChoose(item);
              }}
            >
              {item}
            </button>
          ))}
        </div>
      )}
    </>
  );
}
