/** A new document: its name and the size of its page. */

import { type FormEvent, useRef, useState } from "react";
import { newClient } from "../model/ids";
import { type Paper, type Shape, sizeOf } from "../model/paper";
import { begin } from "../workspace/beginning";
import { useText, useWorkspace } from "../workspace/use";
import { Field } from "./fields";
import { PaperFields } from "./PaperFields";
import { Sheet } from "./Sheet";

export function NewSheet() {
  const t = useText();
  const workspace = useWorkspace();
  const [name, setName] = useState(t("untitled"));
  const [paper, setPaper] = useState<Paper>("a4");
  const [shape, setShape] = useState<Shape>("portrait");
  const [busy, setBusy] = useState(false);
  const key = useRef(newClient()); // asked again after a failure, it is the same document

  const create = async (event: FormEvent) => {
    event.preventDefault();
    const { width, height } = sizeOf(paper, shape);
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
        <PaperFields
          paper={paper}
          shape={shape}
          onChange={(chosen, lies) => {
            setPaper(chosen ?? paper);
            setShape(lies);
          }}
        />
        <button type="submit" className="button primary" disabled={busy}>
          {t("create")}
        </button>
      </form>
    </Sheet>
  );
}
