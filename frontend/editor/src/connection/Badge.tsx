/** Whether we are connected, and how many edits wait. */

import { useEffect, useState } from "react";
import { useText, useView, useWorkspace } from "../workspace/use";
import { badgeOf } from "./words";

export function Badge() {
  const t = useText();
  const workspace = useWorkspace();
  const link = useView((view) => view.link);
  const waiting = useView((view) => view.unapplied);
  const silentSince = useView((view) => view.silentSince);
  const doubted = useView((view) => view.doubted);
  const now = useSeconds(link.phase === "waiting" || silentSince !== null);
  const unfinished = useView((view) => view.unfinished);
  // What is still under the hand is not being sent.
  const sending = waiting - (unfinished ? 1 : 0);
  const online = link.phase === "online";
  const late = useLate(online && sending > 0);
  const silentFor = silentSince === null ? 0 : performance.now() - silentSince;
  const shown = badgeOf(link, { waiting, sending, silentFor, doubted }, now);
  const { tone, said, canRetry } = shown;
  // An edit that is applied in the blink of an eye is nothing to blink about.
  const calm = said.key === "sending" && !late;
  return (
    <div className={`badge ${calm ? "good" : tone}${canRetry ? " can-retry" : ""}`}>
      <span className="dot" aria-hidden="true" />
      <span data-testid="connection" data-phase={link.phase} data-waiting={waiting}>
        {calm ? t("online") : t(said.key, said.values)}
      </span>
      {/* For the ear: whether there is a link, and not each second that passes. */}
      <span className="unseen" role="status">
        {online && tone !== "bad" ? t("online") : link.phase === "connecting" ? "" : t("noLink")}
      </span>
      {canRetry && (
        <button type="button" onClick={() => workspace.engine.link.reconnect()}>
          {t("tryNow")}
        </button>
      )}
    </div>
  );
}

function useSeconds(runs: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!runs) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [runs]);
  return now;
}

function useLate(is: boolean): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    setLate(false);
    if (!is) return;
    const timer = setTimeout(() => setLate(true), 400);
    return () => clearTimeout(timer);
  }, [is]);
  return is && late;
}
