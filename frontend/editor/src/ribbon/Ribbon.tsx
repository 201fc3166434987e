/** The ribbon: the tabs File, Edit and Insert, and the bar of the one that is chosen. */

import { useState } from "react";
import type { TextKey } from "../text/texts";
import { useText } from "../workspace/use";
import { EditTab } from "./EditTab";
import { FileTab } from "./FileTab";
import { InsertTab } from "./InsertTab";
import { useRoving } from "./roving";

const TABS = { file: FileTab, edit: EditTab, insert: InsertTab } as const;
type Tab = keyof typeof TABS;
const NAMES: Readonly<Record<Tab, TextKey>> = { file: "file", edit: "edit", insert: "insert" };

export function Ribbon() {
  const t = useText();
  const [tab, setTab] = useState<Tab>("insert");
  const tabs = useRoving<HTMLDivElement>();
  const bar = useRoving<HTMLDivElement>();
  const Bar = TABS[tab];
  return (
    <section className="ribbon" aria-label={t("ribbon")}>
      <div
        className="ribbon-tabs"
        role="tablist"
        aria-label={t("ribbon")}
        ref={tabs.ref}
        onKeyDown={tabs.onKeyDown}
      >
        {(Object.keys(TABS) as Tab[]).map((each) => (
          <button
            key={each}
            type="button"
            role="tab"
            id={`tab-${each}`}
            aria-selected={each === tab}
            aria-controls="ribbon-bar"
            onClick={() => setTab(each)}
          >
            {t(NAMES[each])}
          </button>
        ))}
      </div>
      <div id="ribbon-bar" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        <div
          className="ribbon-bar"
          role="toolbar"
          aria-label={t(NAMES[tab])}
          ref={bar.ref}
          onKeyDown={bar.onKeyDown}
        >
          <Bar />
        </div>
      </div>
    </section>
  );
}
