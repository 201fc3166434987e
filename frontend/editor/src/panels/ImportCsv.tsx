/** The button that reads a CSV file into the report's table. */

import { useRef } from "react";
import { MOST_ROWS } from "../model/changes";
import { tableOf } from "../model/csv";
import { Tool } from "../ribbon/Tool";
import { useText, useView, useWorkspace } from "../workspace/use";
import type { Workspace } from "../workspace/workspace";

export async function importCsv(workspace: Workspace, file: Blob): Promise<void> {
  const { table, left } = tableOf(decoded(await file.arrayBuffer()));
  if (!table) {
    workspace.toasts.show({ key: "noTable" }, "warning");
    return;
  }
  if (!workspace.edit("importData", [{ op: "data", data: table }])) return;
  workspace.view.set({ grid: true });
  workspace.goToRow(0);
  if (left)
    workspace.toasts.show(
      { key: "rowsLeft", values: { count: left, most: MOST_ROWS } },
      "warning",
    );
  else
    workspace.toasts.show({ key: "imported", values: { count: table.rows.length } }, "info", true);
}

/** UTF-8, or, where it is none, what Korean spreadsheets write. */
function decoded(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("euc-kr").decode(bytes);
  }
}

export function ImportCsv({ large = false }: { large?: boolean }) {
  const t = useText();
  const workspace = useWorkspace();
  const isOpen = useView((view) => view.report !== null);
  const file = useRef<HTMLInputElement>(null);
  return (
    <>
      <Tool
        large={large}
        icon="table"
        name={t("importCsv")}
        disabled={!isOpen}
        onClick={() => file.current?.click()}
      />
      <input
        ref={file}
        type="file"
        hidden
        accept=".csv,.tsv,.txt,text/csv"
        aria-label={t("csvFile")}
        onChange={({ target }) => {
          const [chosen] = target.files ?? [];
          if (chosen) void importCsv(workspace, chosen);
          target.value = "";
        }}
      />
    </>
  );
}
