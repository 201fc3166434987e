/** What to print, and how far it is. */

import { useState } from "react";
import { exportPdf, type Rows } from "../workspace/printing";
import { useText, useView, useWorkspace } from "../workspace/use";
import { Sheet } from "./Sheet";

export function ExportSheet() {
  const t = useText();
  const workspace = useWorkspace();
  const printing = useView((view) => view.printing);
  const count = useView((view) => view.report?.data?.rows.length ?? 0);
  const row = useView((view) => view.row);
  const [rows, setRows] = useState<Rows>(count ? "all" : "once");
  const choices: readonly (readonly [Rows, string])[] = [
    ...(count ? ([["all", t("printAll", { count })]] as const) : []),
    ...(count && row !== null ? ([["this", t("printThis", { row: row + 1 })]] as const) : []),
    ["once", count ? t("printTemplate") : t("printOnce")],
  ];
  return (
    <Sheet name={t("exportPdf")}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void exportPdf(workspace, rows);
        }}
      >
        <fieldset>
          <legend>{t("whatToPrint")}</legend>
          {choices.map(([value, name]) => (
            <label key={value} className="check">
              <input
                type="radio"
                name="rows"
                checked={rows === value}
                onChange={() => setRows(value)}
              />
              {name}
            </label>
          ))}
        </fieldset>
        <button type="submit" className="button primary" disabled={printing !== null}>
          {t("exportNow")}
        </button>
        {printing && (
          <p>
            <progress
              aria-label={t("printing")}
              max={printing.total || 1}
              {...(printing.total ? { value: printing.done } : {})}
            />
            <span className="quiet">{t("printing")}</span>
          </p>
        )}
      </form>
    </Sheet>
  );
}
