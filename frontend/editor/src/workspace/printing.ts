/** Printing to a PDF file: the engine prints, the parts come one by one, and then it is downloaded. */

import type { Workspace } from "./workspace";

export type Rows = "once" | "this" | "all";

export async function exportPdf(workspace: Workspace, rows: Rows): Promise<void> {
  workspace.commit();
  const { report, row, printing, unapplied } = workspace.state;
  if (!report || printing) return;
  if (unapplied) workspace.toasts.show({ key: "printsApplied", values: { count: unapplied } });
  workspace.view.set({ printing: { done: 0, total: 0 } });
  try {
    const chosen = rows === "all" ? "all" : rows === "this" && row !== null ? [row] : undefined;
    const { pdf, parts, name } = await workspace.engine.pdf(report.id, chosen);
    const content: Uint8Array<ArrayBuffer>[] = [];
    for (let part = 0; part < parts; part++) {
      workspace.view.set({ printing: { done: part, total: parts } });
      content.push(await workspace.engine.pdfPart(pdf, part));
    }
    download(new Blob(content, { type: "application/pdf" }), name || `${report.name}.pdf`);
    workspace.toasts.show({ key: "exported", values: { name } });
    workspace.view.set({ sheet: null });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    workspace.toasts.show({ key: "notExported", values: { reason } }, "warning");
  } finally {
    workspace.view.set({ printing: null });
  }
}

function download(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
