/** The line above the ribbon: the document's name and state, who is here, and the link. */

import { useContext, useState } from "react";
import { Badge } from "../connection/Badge";
import { LANGUAGES, type Language } from "../text/texts";
import { ShopContext, useText, useView, useWorkspace } from "../workspace/use";
import { Icon } from "./icons";

export function TitleBar() {
  const t = useText();
  const workspace = useWorkspace();
  const shop = useContext(ShopContext);
  const people = useView((view) => view.facts?.people ?? 0);
  const language = useView((view) => view.language);
  const isOpen = useView((view) => view.report !== null);
  const saving = useView((view) => view.saving);
  return (
    <header className={shop ? "title-bar has-order" : "title-bar"}>
      <img src="/icon.svg" alt="" width="22" height="22" />
      <h1 className="unseen">Orion Web Editor</h1>
      {isOpen ? <DocumentName /> : <strong>Orion</strong>}
      {isOpen && <SavedState />}
      <span className="space" />
      {people > 1 && (
        <span className="people" title={t("peopleHere", { count: people })}>
          <Icon name="people" />
          <span aria-hidden="true" data-testid="people">
            {people}
          </span>
          <span className="unseen">{t("peopleHere", { count: people })}</span>
        </span>
      )}
      <Badge />
      <select
        className="language"
        aria-label={t("language")}
        value={language}
        onChange={({ target }) => workspace.view.set({ language: target.value as Language })}
      >
        {LANGUAGES.map(([each, name]) => (
          <option key={each} value={each}>
            {name}
          </option>
        ))}
      </select>
      {shop && (
        <button
          type="button"
          className="button primary"
          disabled={!isOpen || saving}
          onClick={() => shop.order()}
        >
          <Icon name="order" />
          {t("order")}
        </button>
      )}
    </header>
  );
}

function DocumentName() {
  const t = useText();
  const workspace = useWorkspace();
  const name = useView((view) => view.report?.name ?? "");
  const [text, setText] = useState<string | null>(null);
  const end = () => {
    const wanted = text?.trim() ?? "";
    if (wanted && wanted !== name)
      workspace.edit("renameDocument", [{ op: "rename", name: wanted.slice(0, 100) }]);
    setText(null);
  };
  return (
    <input
      className="document-name"
      aria-label={t("documentName")}
      value={text ?? name}
      maxLength={100}
      size={Math.max(8, Math.min(36, (text ?? name).length + 1))}
      onChange={({ target }) => setText(target.value)}
      onBlur={end}
      onKeyDown={(event) => {
        if (event.key === "Enter") event.currentTarget.blur();
        if (event.key === "Escape") setText(null);
      }}
    />
  );
}

function SavedState() {
  const t = useText();
  const unsaved = useView((view) => (view.facts?.unsaved ?? false) || view.unapplied > 0);
  const saving = useView((view) => view.saving);
  const revision = useView((view) => view.facts?.revision ?? 0);
  const online = useView((view) => view.link.phase === "online" && !view.doubted);
  const key = saving ? (online ? "saving" : "savesLater") : unsaved ? "unsaved" : "saved";
  return (
    <span className={`saved-state ${key}`} data-testid="saved-state" data-state={key}>
      {t(key, { revision })}
    </span>
  );
}
