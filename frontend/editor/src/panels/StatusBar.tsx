/** The line at the foot: page tabs, the row on the page, and the zoom. */

import { LEAST, MOST, stepped } from "../canvas/zoom";
import { Icon } from "../ribbon/icons";
import { useRoving } from "../ribbon/roving";
import { SmallTool } from "../ribbon/Tool";
import { addPage } from "../workspace/objects";
import { useText, useView, useWorkspace } from "../workspace/use";
import type { Zoom } from "../workspace/view";

const ZOOMS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 4];

export function StatusBar({ zoom }: { zoom: number }) {
  return (
    <footer className="status-bar">
      <PageTabs />
      <span className="space" />
      <RowSteps />
      <DrawerSwitch />
      <ZoomControl zoom={zoom} />
    </footer>
  );
}

function PageTabs() {
  const t = useText();
  const workspace = useWorkspace();
  const pages = useView((view) => view.report?.pages);
  const page = useView((view) => view.page);
  const { ref, onKeyDown } = useRoving<HTMLDivElement>();
  if (!pages) return null;
  return (
    <div className="page-tabs">
      <div role="tablist" aria-label={t("pages")} ref={ref} onKeyDown={onKeyDown}>
        {pages.map(({ id }, index) => (
          <button
            key={id}
            type="button"
            role="tab"
            aria-selected={id === page}
            onClick={() => workspace.turnTo(id)}
          >
            {t("pageNumber", { number: index + 1 })}
          </button>
        ))}
      </div>
      <SmallTool icon="plus" name={t("addPage")} onClick={() => addPage(workspace)} />
    </div>
  );
}

function RowSteps() {
  const t = useText();
  const workspace = useWorkspace();
  const count = useView((view) => view.report?.data?.rows.length ?? 0);
  const row = useView((view) => view.row);
  const grid = useView((view) => view.grid);
  return (
    // biome-ignore lint/a11y/useSemanticElements: buttons in a row, not a form's fields
    <div className="row-steps" role="group" aria-label={t("data")}>
      {count > 0 && (
        <>
          <SmallTool
            icon="previous"
            name={t("previousRow")}
            disabled={row === null || row === 0}
            onClick={() => workspace.goToRow((row ?? 0) - 1)}
          />
          <button
            type="button"
            className="text row"
            data-short={row === null ? "{…}" : `${row + 1}/${count}`}
            aria-pressed={row !== null}
            title={t("showValues")}
            data-testid="row"
            onClick={() => workspace.goToRow(row === null ? 0 : null)}
          >
            {row === null ? t("template") : t("rowOf", { row: row + 1, count })}
          </button>
          <SmallTool
            icon="next"
            name={t("nextRow")}
            disabled={row === null || row >= count - 1}
            onClick={() => workspace.goToRow((row ?? -1) + 1)}
          />
        </>
      )}
      <button
        type="button"
        className="text"
        aria-pressed={grid}
        aria-label={t("dataGrid")}
        title={t("dataGrid")}
        onClick={() => workspace.view.set({ grid: !grid })}
      >
        <Icon name="table" />
        <span className="word">{t("dataGrid")}</span>
      </button>
    </div>
  );
}

/** In a narrow window only, where the properties are not beside the page. */
function DrawerSwitch() {
  const t = useText();
  const workspace = useWorkspace();
  const isShown = useView((view) => view.drawer && view.sheet === null);
  const isOpen = useView((view) => view.report !== null);
  if (!isOpen) return null;
  return (
    <button
      type="button"
      className="small in-drawer"
      aria-label={t("properties")}
      title={t("showProperties")}
      aria-expanded={isShown}
      aria-controls={isShown ? "properties" : undefined}
      onClick={() => workspace.view.set({ drawer: !isShown, sheet: null })}
    >
      <Icon name="properties" />
    </button>
  );
}

function ZoomControl({ zoom }: { zoom: number }) {
  const t = useText();
  const workspace = useWorkspace();
  const chosen = useView((view) => view.zoom);
  const set = (value: Zoom) => workspace.view.set({ zoom: value });
  const percent = `${Math.round(zoom * 100)} %`;
  const isOther = typeof chosen === "number" && !ZOOMS.includes(chosen);
  const fitted = (mode: "fit" | "width", name: string) => (
    <option value={mode}>{chosen === mode ? `${name} · ${percent}` : name}</option>
  );
  return (
    // biome-ignore lint/a11y/useSemanticElements: buttons in a row, not a form's fields
    <div className="zoom" role="group" aria-label={t("zoom")}>
      <SmallTool
        icon="minus"
        name={t("zoomOut")}
        disabled={zoom <= LEAST}
        onClick={() => set(stepped(zoom, false))}
      />
      <select
        aria-label={t("zoom")}
        value={isOther ? "other" : String(chosen)}
        onChange={({ target: { value } }) =>
          set(value === "fit" || value === "width" ? value : Number(value))
        }
      >
        {fitted("fit", t("fitPage"))}
        {fitted("width", t("fitWidth"))}
        {isOther && <option value="other">{percent}</option>}
        {ZOOMS.map((each) => (
          <option key={each} value={each}>
            {Math.round(each * 100)} %
          </option>
        ))}
      </select>
      <SmallTool
        icon="plus"
        name={t("zoomIn")}
        disabled={zoom >= MOST}
        onClick={() => set(stepped(zoom, true))}
      />
    </div>
  );
}
