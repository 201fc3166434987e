import type { Edge, Stacking } from "../model/arrange";
import {
  align,
  copy,
  cut,
  distribute,
  duplicate,
  paste,
  remove,
  selectAll,
  stack,
} from "../workspace/objects";
import { useText, useView, useWorkspace } from "../workspace/use";
import { Group, Tool } from "./Tool";

const EDGES = [
  ["left", "alignLeftEdges"],
  ["center", "alignCenters"],
  ["right", "alignRightEdges"],
  ["top", "alignTops"],
  ["middle", "alignMiddles"],
  ["bottom", "alignBottoms"],
] as const satisfies readonly (readonly [Edge, string])[];

const ORDERS = [
  ["front", "bringToFront", "Ctrl+Shift+]"],
  ["forward", "bringForward", "Ctrl+]"],
  ["back", "sendToBack", "Ctrl+Shift+["],
  ["backward", "sendBackward", "Ctrl+["],
] as const satisfies readonly (readonly [Stacking, string, string])[];

export function EditTab() {
  const t = useText();
  const workspace = useWorkspace();
  const undo = useView((view) => view.undo);
  const redo = useView((view) => view.redo);
  const count = useView((view) => view.selection.length);
  const canPaste = useView((view) => view.report !== null && view.clipboard.length > 0);
  const isOpen = useView((view) => view.report !== null);
  const snapping = useView((view) => view.snapping);
  const none = count === 0;
  return (
    <>
      <Group name={t("history")}>
        <Tool
          large
          icon="undo"
          name={t("undo")}
          keys="Ctrl+Z"
          hint={undo ? t(undo.key) : undefined}
          disabled={!undo}
          onClick={() => workspace.undo()}
        />
        <Tool
          large
          icon="redo"
          name={t("redo")}
          keys="Ctrl+Shift+Z"
          hint={redo ? t(redo.key) : undefined}
          disabled={!redo}
          onClick={() => workspace.undo("redo")}
        />
      </Group>
      <Group name={t("clipboard")} columns={3}>
        <Tool
          icon="cut"
          name={t("cut")}
          keys="Ctrl+X"
          disabled={none}
          onClick={() => cut(workspace)}
        />
        <Tool
          icon="copy"
          name={t("copy")}
          keys="Ctrl+C"
          disabled={none}
          onClick={() => copy(workspace)}
        />
        <Tool
          icon="paste"
          name={t("paste")}
          keys="Ctrl+V"
          disabled={!canPaste}
          onClick={() => paste(workspace)}
        />
        <Tool
          icon="duplicate"
          name={t("duplicate")}
          keys="Ctrl+D"
          disabled={none}
          onClick={() => duplicate(workspace)}
        />
        <Tool
          icon="delete"
          name={t("delete")}
          keys="Delete"
          disabled={none}
          onClick={() => remove(workspace)}
        />
        <Tool
          icon="all"
          name={t("selectAll")}
          keys="Ctrl+A"
          disabled={!isOpen}
          onClick={() => selectAll(workspace)}
        />
      </Group>
      <Group name={t("align")} columns={3}>
        {EDGES.map(([edge, key]) => (
          <Tool
            key={edge}
            icon={edge}
            name={t(key)}
            disabled={none}
            onClick={() => align(workspace, edge)}
          />
        ))}
      </Group>
      <Group name={t("distribute")} columns={1}>
        <Tool
          icon="across"
          name={t("distributeAcross")}
          disabled={count < 3}
          onClick={() => distribute(workspace, true)}
        />
        <Tool
          icon="down"
          name={t("distributeDown")}
          disabled={count < 3}
          onClick={() => distribute(workspace, false)}
        />
      </Group>
      <Group name={t("stacking")} columns={2}>
        {ORDERS.map(([how, key, keys]) => (
          <Tool
            key={how}
            icon={how}
            name={t(key)}
            keys={keys}
            disabled={none}
            onClick={() => stack(workspace, how)}
          />
        ))}
      </Group>
      <Group name={t("help")}>
        <Tool
          large
          icon="snap"
          name={t("snap")}
          pressed={snapping}
          onClick={() => workspace.view.set({ snapping: !snapping })}
        />
      </Group>
    </>
  );
}
