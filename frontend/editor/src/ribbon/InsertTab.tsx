import { useRef } from "react";
import type { Kind } from "../model/types";
import { ImportCsv } from "../panels/ImportCsv";
import { addImage, IMAGE_TYPES } from "../workspace/images";
import { addPage, insert, insertField, template } from "../workspace/objects";
import { useText, useView, useWorkspace } from "../workspace/use";
import { Menu } from "./Menu";
import { Group, Tool } from "./Tool";

const KINDS: readonly Exclude<Kind, "image">[] = [
  "text",
  "rectangle",
  "line",
  "qrcode",
  "barcode",
];

export function InsertTab() {
  const t = useText();
  const workspace = useWorkspace();
  const isOpen = useView((view) => view.report !== null);
  const uploading = useView((view) => view.uploading);
  const columns = useView((view) => view.report?.data?.columns);
  const file = useRef<HTMLInputElement>(null);
  return (
    <>
      <Group name={t("objects")}>
        {KINDS.map((kind) => (
          <Tool
            large
            key={kind}
            icon={kind}
            name={t(kind)}
            disabled={!isOpen}
            onClick={() => {
              const id = insert(workspace, template(kind, t("newText")));
              if (kind === "text") workspace.view.set({ editing: id });
            }}
          />
        ))}
        <Tool
          large
          icon="image"
          name={t("image")}
          disabled={!isOpen || uploading}
          onClick={() => file.current?.click()}
        />
        <input
          ref={file}
          type="file"
          hidden
          accept={IMAGE_TYPES.join()}
          aria-label={t("imageFile")}
          onChange={({ target }) => {
            const [chosen] = target.files ?? [];
            if (chosen) void addImage(workspace, chosen);
            target.value = "";
          }}
        />
      </Group>
      <Group name={t("data")}>
        <Menu
          icon="field"
          name={t("field")}
          disabled={!isOpen || !columns?.length}
          items={columns ?? []}
          onChoose={(column) => insertField(workspace, column)}
        />
        <ImportCsv large />
      </Group>
      <Group name={t("pages")}>
        <Tool
          large
          icon="page"
          name={t("page")}
          disabled={!isOpen}
          onClick={() => addPage(workspace)}
        />
      </Group>
    </>
  );
}
