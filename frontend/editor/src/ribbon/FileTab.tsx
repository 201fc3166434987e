import { useText, useView, useWorkspace } from "../workspace/use";
import { Group, Tool } from "./Tool";

export function FileTab() {
  const t = useText();
  const workspace = useWorkspace();
  const sheet = useView((view) => view.sheet);
  const isOpen = useView((view) => view.report !== null);
  const saving = useView((view) => view.saving);
  const show = (wanted: typeof sheet) =>
    workspace.view.set({ sheet: sheet === wanted ? null : wanted });
  return (
    <>
      <Group name={t("document")}>
        <Tool
          large
          icon="new"
          name={t("new")}
          expanded={sheet === "new"}
          onClick={() => show("new")}
        />
        <Tool
          large
          icon="open"
          name={t("open")}
          expanded={sheet === "open"}
          onClick={() => show("open")}
        />
        <Tool
          large
          icon="save"
          name={t("save")}
          keys="Ctrl+S"
          disabled={!isOpen || saving}
          onClick={() => workspace.save()}
        />
      </Group>
      <Group name={t("print")}>
        <Tool
          large
          icon="pdf"
          name={t("exportPdf")}
          disabled={!isOpen}
          expanded={sheet === "export"}
          onClick={() => show("export")}
        />
      </Group>
    </>
  );
}
