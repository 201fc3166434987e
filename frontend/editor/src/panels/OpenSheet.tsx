/** The list of documents, to open one or to delete it. */

import { useEffect, useState } from "react";
import { NotDone } from "../engine/messages";
import { SmallTool } from "../ribbon/Tool";
import { begin } from "../workspace/beginning";
import { useText, useView, useWorkspace } from "../workspace/use";
import { Sheet } from "./Sheet";

export function OpenSheet() {
  const t = useText();
  const workspace = useWorkspace();
  const documents = useView((view) => view.documents);
  const phase = useView((view) => view.link.phase);
  const current = useView((view) => view.report?.id);
  const language = useView((view) => view.language);
  /** What is to be deleted, once that has been said twice. */
  const [sure, setSure] = useState<number | null>(null);
  const dates = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

  const load = () => {
    workspace.engine
      .documents()
      .then((list) => workspace.view.set({ documents: list }))
      .catch(() => {}); // the badge says why, and we come again with the link
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: again whenever the link is back
  useEffect(load, [phase]);

  const remove = (id: number) => {
    setSure(null);
    workspace.engine.remove(id).then(load, (error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      workspace.toasts.show({ key: "refusedBecause", values: { reason } }, "warning");
      if (error instanceof NotDone) load();
    });
  };

  return (
    <Sheet name={t("openDocument")}>
      {documents === null && <p className="quiet">{t("loading")}</p>}
      {documents?.length === 0 && <p className="quiet">{t("noDocuments")}</p>}
      <ul className="documents">
        {documents?.map(({ id, name, pages, saved, revision, unsaved }) => (
          <li key={id} className={id === current ? "is-current" : ""}>
            <button
              type="button"
              className="document"
              aria-current={id === current}
              onClick={() => {
                workspace.view.set({ sheet: null });
                if (id !== current) void begin(workspace, id);
              }}
            >
              <strong>{name}</strong>
              <span className="quiet">
                {t("pagesCount", { count: pages })} ·{" "}
                {revision ? dates.format(saved * 1000) : t("neverSaved")}
                {unsaved && revision ? ` · ${t("changedSince")}` : ""}
              </span>
            </button>
            {sure === id ? (
              <span className="sure">
                <button type="button" className="button danger" onClick={() => remove(id)}>
                  {t("deleteForGood")}
                </button>
                <button type="button" className="button" onClick={() => setSure(null)}>
                  {t("keep")}
                </button>
              </span>
            ) : (
              <SmallTool
                icon="delete"
                name={t("deleteDocument", { name })}
                onClick={() => setSure(id)}
              />
            )}
          </li>
        ))}
      </ul>
    </Sheet>
  );
}
