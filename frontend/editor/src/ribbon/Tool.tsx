/** A button of the ribbon, and the group that it stands in. */

import type { ReactNode } from "react";
import { Icon, type IconName } from "./icons";

interface ToolProps {
  readonly icon: IconName;
  readonly name: string;
  readonly keys?: string;
  /** More for the tooltip. */
  readonly hint?: string | undefined;
  /** With its name below it; others show it as a tooltip. */
  readonly large?: boolean;
  readonly disabled?: boolean;
  readonly pressed?: boolean;
  readonly expanded?: boolean;
  readonly onClick: () => void;
}

export function Tool({
  icon,
  name,
  keys,
  hint,
  large,
  disabled,
  pressed,
  expanded,
  onClick,
}: ToolProps) {
  return (
    <button
      type="button"
      className={large ? "tool large" : "tool"}
      aria-label={name}
      title={`${name}${hint ? `: ${hint}` : ""}${keys ? ` (${keys})` : ""}`}
      aria-keyshortcuts={keys?.replace("Ctrl", "Control")}
      aria-pressed={pressed}
      aria-expanded={expanded}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} />
      {large && <span>{name}</span>}
    </button>
  );
}

interface SmallToolProps {
  readonly icon: IconName;
  readonly name: string;
  readonly disabled?: boolean;
  /** Further classes. */
  readonly also?: string;
  readonly onClick: () => void;
}

/** A button of the other bars and panels: a sign, and its name as a tooltip. */
export function SmallTool({ icon, name, disabled, also, onClick }: SmallToolProps) {
  return (
    <button
      type="button"
      className={also ? `small ${also}` : "small"}
      aria-label={name}
      title={name}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

export function Group({
  name,
  columns,
  children,
}: {
  name: string;
  columns?: number;
  children: ReactNode;
}) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be laid out as a part of a toolbar
    <div className="group" role="group" aria-label={name}>
      <div className={columns ? `tools small-${columns}` : "tools"}>{children}</div>
      <div className="group-name" aria-hidden="true">
        {name}
      </div>
    </div>
  );
}
