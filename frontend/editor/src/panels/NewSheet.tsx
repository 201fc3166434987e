/** A new document: its name and the size of its page. */

import { type FormEvent, useRef, useState } from "react";
import { newClient } from "../model/ids";
import { begin } from "../workspace/beginning";
import { useText, useWorkspace } from "../workspace/use";
import { Choice, Field } from "./fields";
import { Sheet } from "./Sheet";

/** Points. */
const SIZES = {
  a4: [595, 842],
  a5: [420, 595],
  letter: [612, 792],
  label: [283, 170],
  card: [243, 153],
} as const;
type Size = keyof typeof SIZES;

export function NewSheet() {
  const t = useText();
  const workspace = useWorkspace();
  const [name, setName] = useState(t("untitled"));
  const [size, setSize] = useState<Size>("a4");
  const [shape, setShape] = useState<"portrait" | "landscape">("portrait");
  const [busy, setBusy] = useState(false);
  const key = useRef(newClient()); // asked again after a failure, it is the same document

  const create = async (event: FormEvent) => {
    event.preventDefault();
    const [short, long] = [...SIZES[size]].sort((one, other) => one - other) as [number, number];
    const [width, height] = shape === "portrait" ? [short, long] : [long, short];
    setBusy(true);
    try {
      const wanted = name.trim().slice(0, 100) || t("untitled");
      const id = await workspace.engine.create(wanted, width, height, key.current);
      workspace.view.set({ sheet: null });
      void begin(workspace, id);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      workspace.toasts.show({ key: "refusedBecause", values: { reason } }, "warning");
    } finally {
      setBusy(false);
    }
  };

  return (
    <Sheet name={t("newDocument")}>
      <form onSubmit={create}>
        <Field name={t("name")}>
          {(id) => (
            <input
              id={id}
              value={name}
              maxLength={100}
              onFocus={({ target }) => target.select()}
              onChange={({ target }) => setName(target.value)}
            />
          )}
        </Field>
        <Choice
          name={t("pageSize")}
          value={size}
          choices={[
            ["a4", "A4 · 210 × 297 mm"],
            ["a5", "A5 · 148 × 210 mm"],
            ["letter", "Letter · 216 × 279 mm"],
            ["label", `${t("label")} · 100 × 60 mm`],
            ["card", `${t("card")} · 86 × 54 mm`],
          ]}
          onChange={setSize}
        />
        <Choice
          name={t("shape")}
          value={shape}
          choices={[
            ["portrait", t("portrait")],
            ["landscape", t("landscape")],
          ]}
          onChange={setShape}
        />
        <button type="submit" className="button primary" disabled={busy}>
          {t("create")}
        </button>
      </form>
    </Sheet>
  );
}
