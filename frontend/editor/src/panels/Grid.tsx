/** The data grid: the rows that the report is printed with; the current one is on the page. */

import {
  type KeyboardEvent,
  type UIEvent,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { MOST_COLUMNS, MOST_ROWS } from "../model/changes";
import { columnName } from "../model/csv";
import type { Table } from "../model/types";
import { Icon } from "../ribbon/icons";
import { Tool } from "../ribbon/Tool";
import { useText, useView, useWorkspace } from "../workspace/use";
import { Cell } from "./Cell";
import { ImportCsv, importCsv } from "./ImportCsv";

/** CSS pixels of a row. */
const ROW = 26;
/** Rows above and below those that are seen. */
const SPARE = 12;

interface Place {
  /** -1 is the head. */
  readonly row: number;
  readonly column: number;
}

export function Grid() {
  const t = useText();
  const workspace = useWorkspace();
  const table = useView((view) => view.report?.data ?? null);
  const row = useView((view) => view.row);
  const isOpen = useView((view) => view.report !== null);
  const [active, setActive] = useState<Place>({ row: 0, column: 0 });
  const [editing, setEditing] = useState(false);
  const [seen, setSeen] = useState<readonly [number, number]>([0, 30]);
  const box = useRef<HTMLDivElement>(null);
  const wantsFocus = useRef(false);

  const change = (data: Table | null) => workspace.edit("editData", [{ op: "data", data }]);
  const setCell = (place: Place, value: string) => {
    if (!table) return;
    const { columns, rows } = table;
    if (place.row < 0) {
      if (columns[place.column] === value) return;
      const others = columns.filter((_, index) => index !== place.column);
      change({ columns: columns.with(place.column, columnName(value, others)), rows });
    } else {
      const old = rows[place.row]!;
      if (old[place.column] === value) return;
      change({ columns, rows: rows.with(place.row, old.with(place.column, value)) });
    }
  };

  useEffect(() => {
    if (row !== null) setActive((place) => (place.row === row ? place : { ...place, row }));
  }, [row]);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element || active.row < 0) return;
    const top = active.row * ROW;
    const room = element.clientHeight - 2 * ROW;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top > element.scrollTop + room) element.scrollTop = top - room;
  }, [active.row]);

  useEffect(() => {
    if (!wantsFocus.current || editing) return;
    wantsFocus.current = false;
    box.current?.querySelector<HTMLElement>("[tabindex='0']")?.focus();
  });

  const goTo = (place: Place) => {
    const now = workspace.state.report?.data; // what was just added is in it
    if (!now) return;
    const last = { row: now.rows.length - 1, column: now.columns.length - 1 };
    const next = {
      row: Math.max(-1, Math.min(last.row, place.row)),
      column: Math.max(0, Math.min(last.column, place.column)),
    };
    wantsFocus.current = true;
    setEditing(false);
    setActive(next);
    if (next.row >= 0) workspace.goToRow(next.row);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (editing || !table) return;
    const { row: r, column: c } = active;
    const to: Readonly<Record<string, Place>> = {
      ArrowUp: { row: r - 1, column: c },
      ArrowDown: { row: r + 1, column: c },
      ArrowLeft: { row: r, column: c - 1 },
      ArrowRight: { row: r, column: c + 1 },
      Home: { row: r, column: 0 },
      End: { row: r, column: table.columns.length - 1 },
      PageDown: { row: r + 8, column: c },
      PageUp: { row: r - 8, column: c },
    };
    const place = to[event.key];
    if (place) goTo(place);
    else if (event.key === "Enter" || event.key === "F2") setEditing(true);
    else if (event.key === "Delete") setCell(active, "");
    else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey) {
      setEditing(true);
      return; // the letter goes into the field that opens
    } else return;
    event.preventDefault();
  };

  const end = (value: string | null, to: -1 | 0 | 1 | "away") => {
    if (value !== null) setCell(active, value);
    setEditing(false);
    if (to === "away") return;
    if (to) goTo({ row: active.row, column: active.column + to });
    else wantsFocus.current = true;
  };

  const scroll = ({ currentTarget }: UIEvent) => {
    const first = Math.floor(currentTarget.scrollTop / ROW);
    const count = Math.ceil(currentTarget.clientHeight / ROW);
    if (first !== seen[0] || count !== seen[1]) setSeen([first, count]);
  };

  const count = table?.rows.length ?? 0;
  const first = Math.max(0, seen[0] - SPARE);
  const last = Math.min(count, seen[0] + seen[1] + SPARE);
  const shown = table?.rows.slice(first, last) ?? [];
  const cell = (place: Place, value: string) => (
    <Cell
      key={place.column}
      value={value}
      head={place.row < 0}
      active={place.row === active.row && place.column === active.column}
      editing={editing && place.row === active.row && place.column === active.column}
      column={place.column}
      onTake={() => goTo(place)}
      onEdit={() => {
        setActive(place);
        setEditing(true);
      }}
      onEnd={end}
    />
  );

  return (
    <section
      className="grid-panel"
      aria-label={t("data")}
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        const [file] = event.dataTransfer.files;
        if (file) void importCsv(workspace, file);
      }}
    >
      <div className="grid-tools" role="toolbar" aria-label={t("data")}>
        <ImportCsv />
        <Tool
          icon="plus"
          name={t("addRow")}
          disabled={!table || count >= MOST_ROWS}
          onClick={() => {
            change({ ...table!, rows: [...table!.rows, table!.columns.map(() => "")] });
            goTo({ row: count, column: 0 });
          }}
        />
        <Tool
          icon="minus"
          name={t(active.row < 0 ? "deleteColumn" : "deleteRow")}
          disabled={!table || active.row >= count || (active.row < 0 && table.columns.length < 2)}
          onClick={() => {
            const others = <T,>(list: readonly T[], at: number) => list.toSpliced(at, 1);
            const { columns, rows } = table!;
            if (active.row < 0)
              change({
                columns: others(columns, active.column),
                rows: rows.map((each) => others(each, active.column)),
              });
            else change({ columns, rows: others(rows, active.row) });
            const key = active.row < 0 ? "columnDeleted" : "rowDeleted";
            workspace.toasts.show({ key }, "info", true);
            goTo(active);
          }}
        />
        <button
          type="button"
          className="button"
          disabled={!isOpen || (table?.columns.length ?? 0) >= MOST_COLUMNS}
          onClick={() => {
            const columns = table?.columns ?? [];
            const name = columnName(t("column", { number: columns.length + 1 }), columns);
            const rows = table?.rows.map((each) => [...each, ""]) ?? [[""]];
            change({ columns: [...columns, name], rows });
          }}
        >
          <Icon name="plus" />
          {t("addColumn")}
        </button>
        {table && (
          <button
            type="button"
            className="button"
            onClick={() => {
              change(null);
              workspace.toasts.show({ key: "dataRemoved" }, "info", true);
            }}
          >
            <Icon name="delete" />
            {t("removeData")}
          </button>
        )}
        <span className="quiet">
          {table ? t("rowsAndColumns", { rows: count, columns: table.columns.length }) : ""}
        </span>
      </div>
      {table ? (
        <div className="grid-box" ref={box} onScroll={scroll}>
          {/* biome-ignore lint/a11y/useSemanticElements: only some of the rows are there */}
          <div
            role="grid"
            aria-label={t("data")}
            aria-rowcount={count + 1}
            aria-colcount={table.columns.length}
            style={{ height: (count + 1) * ROW }}
            onKeyDown={onKeyDown}
          >
            {/* biome-ignore lint/a11y/useSemanticElements: as above */}
            <div role="row" tabIndex={-1} className="grid-row head" aria-rowindex={1}>
              <span className="number" />
              {table.columns.map((name, column) => cell({ row: -1, column }, name))}
            </div>
            <div style={{ height: first * ROW }} />
            {shown.map((values, index) => {
              const number = first + index;
              return (
                // biome-ignore lint/a11y/useSemanticElements: as above
                <div
                  key={number}
                  role="row"
                  tabIndex={-1}
                  aria-rowindex={number + 2}
                  aria-selected={number === row}
                  className="grid-row"
                >
                  <span className="number">{number + 1}</span>
                  {values.map((value, column) => cell({ row: number, column }, value))}
                </div>
              );
            })}
          </div>
        </div>
      ) : (
        <p className="quiet empty">{t("noData")}</p>
      )}
    </section>
  );
}
