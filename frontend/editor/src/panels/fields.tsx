/** The fields of the property panel. A value that is not one is shown as such, and not taken. */

import { type ReactNode, useEffect, useId, useState } from "react";

export function Field({ name, children }: { name: string; children: (id: string) => ReactNode }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{name}</label>
      {children(id)}
    </div>
  );
}

interface NumberProps {
  readonly name: string;
  /** Undefined where several objects differ. */
  readonly value: number | undefined;
  readonly least?: number;
  readonly most?: number;
  readonly step?: number;
  readonly onChange: (value: number) => void;
  readonly onEnd?: () => void;
}

export function NumberField(props: NumberProps) {
  const { name, value, least = -14_400, most = 14_400, step = 1, onChange, onEnd } = props;
  const shown = value === undefined ? "" : String(Math.round(value * 100) / 100);
  const [text, setText] = useState(shown);
  const [typing, setTyping] = useState(false);
  useEffect(() => {
    if (!typing) setText(shown);
  }, [shown, typing]);
  const number = Number(text.replace(",", "."));
  const isValid = text.trim() !== "" && number >= least && number <= most;
  return (
    <Field name={name}>
      {(id) => (
        <input
          id={id}
          type="number"
          inputMode="decimal"
          value={text}
          min={least}
          max={most}
          step={step}
          aria-invalid={typing && !isValid}
          onFocus={() => setTyping(true)}
          onChange={({ target }) => {
            setText(target.value);
            const next = Number(target.value);
            if (target.value !== "" && next >= least && next <= most) onChange(next);
          }}
          onBlur={() => {
            setTyping(false);
            onEnd?.();
          }}
          onKeyDown={(event) => {
            if (event.key === "Enter") onEnd?.();
          }}
        />
      )}
    </Field>
  );
}

interface ChoiceProps<V extends string> {
  readonly name: string;
  readonly value: V | undefined;
  readonly choices: readonly (readonly [V, string])[];
  /** What to say where the value is none of these. */
  readonly other?: string;
  readonly onChange: (value: V) => void;
}

export function Choice<V extends string>(props: ChoiceProps<V>) {
  const { name, value, choices, other = "…", onChange } = props;
  return (
    <Field name={name}>
      {(id) => (
        <select id={id} value={value ?? ""} onChange={({ target }) => onChange(target.value as V)}>
          {value === undefined && <option value="">{other}</option>}
          {choices.map(([each, word]) => (
            <option key={each} value={each}>
              {word}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface ColorProps {
  readonly name: string;
  readonly value: string | undefined;
  /** Where "none" is a colour, too: what to call it. */
  readonly none?: string;
  readonly onChange: (value: string) => void;
}

export function ColorField({ name, value, none, onChange }: ColorProps) {
  const isNone = value === "none";
  return (
    <Field name={name}>
      {(id) => (
        <div className="color">
          <input
            id={id}
            type="color"
            value={isNone ? "#ffffff" : full(value ?? "#000000")}
            className={isNone ? "is-none" : ""}
            onChange={({ target }) => onChange(target.value)}
          />
          {none && (
            <label className="check">
              <input
                type="checkbox"
                checked={isNone}
                aria-label={`${name}: ${none}`}
                onChange={({ target }) => onChange(target.checked ? "none" : "#ffffff")}
              />
              {none}
            </label>
          )}
        </div>
      )}
    </Field>
  );
}

/** `#abc` as the browser's field wants it. */
function full(color: string): string {
  return color.length === 4
    ? `#${[...color.slice(1)].map((digit) => digit + digit).join("")}`
    : color;
}

interface CheckProps {
  readonly name: string;
  readonly value: boolean | undefined;
  readonly onChange: (value: boolean) => void;
}

export function Check({ name, value, onChange }: CheckProps) {
  return (
    <label className="check">
      <input
        type="checkbox"
        checked={value ?? false}
        onChange={({ target }) => onChange(target.checked)}
      />
      {name}
    </label>
  );
}

export function Section({ name, children }: { name: string; children: ReactNode }) {
  return (
    <section className="section" aria-label={name}>
      <h3>{name}</h3>
      {children}
    </section>
  );
}
