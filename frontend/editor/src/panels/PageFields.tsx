/** What the property panel shows while nothing is selected: the page, and the objects on it. */

import { nameOf } from "../canvas/names";
import type { Page } from "../model/types";
import { Icon } from "../ribbon/icons";
import { removePage } from "../workspace/objects";
import { useText, useView, useWorkspace } from "../workspace/use";
import { Section } from "./fields";

const MILLIMETRES = 25.4 / 72;

export function PageFields({ page }: { page: Page }) {
  const t = useText();
  const workspace = useWorkspace();
  const canRemove = useView((view) => (view.report?.pages.length ?? 0) > 1);
  const mm = (points: number) => Math.round(points * MILLIMETRES);
  return (
    <>
      <Section name={t("pageSize")}>
        <p className="quiet">
          {mm(page.width)} × {mm(page.height)} mm
        </p>
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
