/** The property panel: of the selected objects, or of the page and the document. */

import { useEffect } from "react";
import { heightOf } from "../canvas/measure";
import { nameOf } from "../canvas/names";
import { find } from "../model/changes";
import type { Change, PageObject } from "../model/types";
import { SmallTool } from "../ribbon/Tool";
import { useText, useView, useWorkspace } from "../workspace/use";
import { pageOf } from "../workspace/view";
import type { Common, Editing } from "./editing";
import { NumberField, Section } from "./fields";
import { CodeFields, ImageFields, LineFields, RectangleFields, TextFields } from "./KindFields";
import { PageFields } from "./PageFields";

/** What makes a text longer, or its letters larger. */
const GROWS: readonly string[] = ["text", "font", "size", "weight", "italic"];

/** The height that a text needs besides, lest some of it be cut off. */
function grown(object: PageObject, name: string, value: unknown): { height?: number } {
  if (object.kind !== "text" || !GROWS.includes(name)) return {};
  const height = heightOf({ ...object, [name]: value });
  return height > object.height ? { height } : {};
}

export function Properties() {
  const t = useText();
  const workspace = useWorkspace();
  const page = useView(pageOf);
  const selection = useView((view) => view.selection);
  const drawer = useView((view) => view.drawer);
  const objects = page?.objects.filter(({ id }) => selection.includes(id)) ?? [];
  const [first, ...more] = objects;
  const firstId = first?.id;
  useEffect(() => {
    if (!drawer || !firstId) return;
    // The drawer has taken the lower half of the page's room.
    document.querySelector(`[data-object="${firstId}"]`)?.scrollIntoView?.({ block: "center" });
  }, [drawer, firstId]);
  const editing: Editing = {
    common: commonOf(objects),
    set: (name, value) => {
      const changes = objects.map((object): Change => {
        const before = workspace.settled && find(workspace.settled, object.id);
        const set = { [name]: value, ...grown(before ?? object, name, value) };
        return { op: "set", id: object.id, set };
      });
      workspace.type("changeProperty", `${name} ${selection.join()}`, changes);
    },
    end: () => workspace.commit(),
  };
  return (
    <aside
      id="properties"
      className={drawer ? "properties is-open" : "properties"}
      aria-label={t("properties")}
    >
      <div className="panel-head">
        <h2>
          {!first
            ? t("page")
            : more.length
              ? t("objectsSelected", { count: objects.length })
              : t(first.kind)}
        </h2>
        <SmallTool
          icon="close"
          name={t("close")}
          also="in-drawer"
          onClick={() => workspace.view.set({ drawer: false })}
        />
      </div>
      {first ? (
        <>
          <Geometry editing={editing} objects={objects} />
          <OfKind editing={editing} objects={objects} />
          {more.length > 0 && (
            <ul className="names">
              {objects.map((object) => (
                <li key={object.id}>{nameOf(object, t)}</li>
              ))}
            </ul>
          )}
        </>
      ) : (
        page && <PageFields page={page} />
      )}
    </aside>
  );
}

function OfKind({ editing, objects }: { editing: Editing; objects: readonly PageObject[] }) {
  const [first] = objects;
  if (!first || objects.some(({ kind }) => kind !== first.kind)) return null;
  switch (first.kind) {
    case "text":
      return <TextFields editing={editing} />;
    case "rectangle":
      return <RectangleFields editing={editing} />;
    case "line":
      return <LineFields editing={editing} />;
    case "image":
      return <ImageFields editing={editing} />;
    case "qrcode":
    case "barcode":
      return <CodeFields editing={editing} barcode={first.kind === "barcode"} />;
  }
}

function Geometry({ editing, objects }: { editing: Editing; objects: readonly PageObject[] }) {
  const t = useText();
  const least = objects.every(({ kind }) => kind === "line") ? -14_400 : 0.1;
  const number = (name: string) => editing.common[name] as number | undefined;
  return (
    <Section name={t("position")}>
      <div className="pairs">
        {(["x", "y"] as const).map((name) => (
          <NumberField
            key={name}
            name={name.toUpperCase()}
            value={number(name)}
            onChange={(value) => editing.set(name, value)}
            onEnd={editing.end}
          />
        ))}
        {(["width", "height"] as const).map((name) => (
          <NumberField
            key={name}
            name={t(name)}
            value={number(name)}
            least={least}
            onChange={(value) => editing.set(name, value)}
            onEnd={editing.end}
          />
        ))}
        <NumberField
          name={t("rotation")}
          value={number("rotation")}
          least={-360}
          most={360}
          onChange={(value) => editing.set("rotation", value)}
          onEnd={editing.end}
        />
      </div>
    </Section>
  );
}

function commonOf(objects: readonly PageObject[]): Common {
  const [first, ...more] = objects as unknown as readonly Common[];
  if (!first) return {};
  return Object.fromEntries(
    Object.entries(first).filter(([name, value]) => more.every((each) => each[name] === value)),
  );
}
