/** What the property panel shows while nothing is selected: the page, and the objects on it. */

import { nameOf } from "../canvas/names";
import { tidy } from "../model/geometry";
import { lying, paperOf, type Size, shapeOf, sizeOf } from "../model/paper";
import { LEAST_PAGE, MOST } from "../model/properties";
import type { Change, Page } from "../model/types";
import { Icon } from "../ribbon/icons";
import { removePage } from "../workspace/objects";
import { useText, useView, useWorkspace } from "../workspace/use";
import { NumberField, Section } from "./fields";
import { PaperFields } from "./PaperFields";

/** Of a point. */
const MILLIMETRES = 25.4 / 72;

/** As a person would say it: by halves. */
const millimetres = (points: number) => Math.round(points * MILLIMETRES * 2) / 2;

export function PageFields({ page }: { page: Page }) {
  const t = useText();
  const workspace = useWorkspace();
  const canRemove = useView((view) => (view.report?.pages.length ?? 0) > 1);
  const resize = (size: Size, soon = false) => {
    const changes: Change[] = [{ op: "resize_page", id: page.id, ...size }];
    if (soon) workspace.type("resizePage", `size ${page.id}`, changes);
    else workspace.edit("resizePage", changes);
  };
  return (
    <>
      <Section name={t("pageSize")}>
        <PaperFields
          paper={paperOf(page)}
          shape={shapeOf(page)}
          onChange={(paper, shape) => resize(paper ? sizeOf(paper, shape) : lying(page, shape))}
        />
        <div className="pairs">
          {(["width", "height"] as const).map((name) => (
            <NumberField
              key={name}
              name={`${t(name)} (mm)`}
              value={millimetres(page[name])}
              least={Math.ceil(LEAST_PAGE * MILLIMETRES)}
              most={Math.floor(MOST * MILLIMETRES)}
              onChange={(length) => {
                // What was rounded to be shown is not changed by being looked at.
                if (length === millimetres(page[name])) return;
                const { width, height } = page;
                resize({ width, height, [name]: tidy(length / MILLIMETRES) }, true);
              }}
              onEnd={() => workspace.commit()}
            />
          ))}
        </div>
        <button
          type="button"
          className="button"
          disabled={!canRemove}
          onClick={() => removePage(workspace, page.id)}
        >
          <Icon name="delete" />
          {t("deletePage")}
        </button>
      </Section>
      <Section name={t("objectsOnPage")}>
        {page.objects.length === 0 && <p className="quiet">{t("noObjects")}</p>}
        <ul className="objects">
          {[...page.objects].reverse().map((object) => (
            <li key={object.id}>
              <button
                type="button"
                aria-label={t("selectObject", { name: nameOf(object, t) })}
                onClick={() => workspace.select([object.id])}
              >
                <Icon name={object.kind} />
                <span>{nameOf(object, t)}</span>
              </button>
            </li>
          ))}
        </ul>
      </Section>
    </>
  );
}
