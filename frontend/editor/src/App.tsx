/** The editor's window. */

import { useEffect, useState } from "react";
import { Stage } from "./canvas/Stage";
import { isRefused } from "./connection/words";
import { ExportSheet } from "./panels/ExportSheet";
import { Grid } from "./panels/Grid";
import { NewSheet } from "./panels/NewSheet";
import { OpenSheet } from "./panels/OpenSheet";
import { Properties } from "./panels/Properties";
import { StatusBar } from "./panels/StatusBar";
import { Toasts } from "./panels/Toasts";
import { Ribbon } from "./ribbon/Ribbon";
import { TitleBar } from "./ribbon/TitleBar";
import {
  type Shop,
  ShopContext,
  useText,
  useView,
  useWorkspace,
  WorkspaceContext,
} from "./workspace/use";
import type { Workspace } from "./workspace/workspace";

const SHEETS = { open: OpenSheet, new: NewSheet, export: ExportSheet } as const;

export function App({ workspace, shop }: { workspace: Workspace; shop: Shop | null }) {
  return (
    <WorkspaceContext value={workspace}>
      <ShopContext value={shop}>
        <Editor />
      </ShopContext>
    </WorkspaceContext>
  );
}

function Editor() {
  const language = useView((view) => view.language);
  const name = useView((view) => view.report?.name);
  const grid = useView((view) => view.grid);
  const sheet = useView((view) => view.sheet);
  const isOpen = useView((view) => view.report !== null);
  const [zoom, setZoom] = useState(1);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  useEffect(() => {
    document.title = name ? `${name} – Orion Web Editor` : "Orion Web Editor";
  }, [name]);
  const Shown = sheet && SHEETS[sheet];
  return (
    <div className="editor">
      <TitleBar />
      <Ribbon />
      <main className="middle">
        <div className="work">
          {isOpen ? <Stage onZoom={setZoom} /> : <Empty />}
          {isOpen && grid && <Grid />}
        </div>
        {Shown ? <Shown /> : isOpen && <Properties />}
      </main>
      <StatusBar zoom={zoom} />
      <Toasts />
    </div>
  );
}

/** Where there is no document to see, and why. */
function Empty() {
  const t = useText();
  const workspace = useWorkspace();
  const trouble = useView((view) => view.trouble);
  const refused = useView((view) => isRefused(view.link));
  // A page is not told why a WebSocket does not open: it may be that no gateway is there, or a 403.
  const unanswered = useView(({ link }) => link.phase !== "online" && link.attempt >= 3);
  return (
    <section className="desk empty-desk" aria-label={t("pageCanvas")}>
      {refused ? (
        <div>
          <h2>{t("notLetIn")}</h2>
          <p>{t("letInByShop")}</p>
        </div>
      ) : trouble.kind === "opening" ? (
        <p className="quiet">{t(unanswered ? "unanswered" : "opening")}</p>
      ) : (
        <div>
          <h2>{trouble.kind === "gone" ? t("gone") : t("nothingOpen")}</h2>
          {trouble.kind === "gone" && trouble.message && (
            <p className="quiet">{trouble.message}</p>
          )}
          <p className="buttons">
            <button
              type="button"
              className="button primary"
              onClick={() => workspace.view.set({ sheet: "open" })}
            >
              {t("openDocument")}
            </button>
            <button
              type="button"
              className="button"
              onClick={() => workspace.view.set({ sheet: "new" })}
            >
              {t("newDocument")}
            </button>
          </p>
        </div>
      )}
    </section>
  );
}
