/** What is said in passing, for the eye and for the ear. */

import { SmallTool } from "../ribbon/Tool";
import { useText, useView, useWorkspace } from "../workspace/use";

export function Toasts() {
  const t = useText();
  const workspace = useWorkspace();
  const toasts = useView((view) => view.toasts);
  const said = useView((view) => view.said);
  return (
    <div className="toasts" role="status" aria-live="polite" aria-label={t("messages")}>
      <span className="unseen">{said && t(said.key, said.values)}</span>
      {toasts.map(({ id, said, tone, undo }) => (
        <div key={id} className={`toast ${tone}`}>
          <span>{t(said.key, said.values)}</span>
          {undo && (
            <button
              type="button"
              className="button"
              onClick={() => {
                workspace.toasts.forget(id);
                workspace.undo();
              }}
            >
              {t("undo")}
            </button>
          )}
          <SmallTool
            icon="close"
            name={t("dismiss")}
            onClick={() => workspace.toasts.forget(id)}
          />
        </div>
      ))}
    </div>
  );
}
