/** The canvas of the page, painted once a frame at most. */

import { useEffect, useRef, useState } from "react";
import { useText, useView, useWorkspace } from "../workspace/use";
import { pageOf } from "../workspace/view";
import { paint } from "./paint";

/** Pixels of a canvas: browsers refuse far larger ones, and nobody sees the difference. */
const MOST_PIXELS = 24_000_000;

export function PageCanvas({ scale }: { scale: number }) {
  const t = useText();
  const workspace = useWorkspace();
  const report = useView((view) => view.report);
  const page = useView(pageOf);
  const row = useView((view) => view.row);
  const hidden = useView((view) => view.editing);
  const drawn = useView((view) => view.drawn);
  const canvas = useRef<HTMLCanvasElement>(null);
  const ratio = useDeviceRatio();

  // biome-ignore lint/correctness/useExhaustiveDependencies: `drawn` counts what has come for the canvas
  useEffect(() => {
    if (!report || !page) return;
    const frame = requestAnimationFrame(() => {
      const element = canvas.current;
      const context = element?.getContext("2d", { alpha: false });
      if (!element || !context) return;
      const wanted = page.width * page.height * (scale * ratio) ** 2;
      const pixels = scale * ratio * Math.min(1, Math.sqrt(MOST_PIXELS / wanted));
      const width = Math.max(1, Math.round(page.width * pixels));
      const height = Math.max(1, Math.round(page.height * pixels));
      if (element.width !== width) element.width = width;
      if (element.height !== height) element.height = height;
      context.setTransform(width / page.width, 0, 0, height / page.height, 0, 0);
      paint(context, {
        report,
        page,
        row,
        drawn: workspace.drawings.of(page.id),
        hidden,
        images: (asset) => workspace.drawings.image(asset),
      });
    });
    return () => cancelAnimationFrame(frame);
  }, [workspace, report, page, row, hidden, scale, ratio, drawn]);

  return <canvas ref={canvas} lang="en" role="img" aria-label={t("drawingOfPage")} />;
}

/** Device pixels of a CSS pixel, when the window moves to another screen, too. */
function useDeviceRatio(): number {
  const [ratio, setRatio] = useState(() => globalThis.devicePixelRatio || 1);
  useEffect(() => {
    const query = matchMedia(`(resolution: ${ratio}dppx)`);
    const change = () => setRatio(globalThis.devicePixelRatio || 1);
    query.addEventListener("change", change);
    return () => query.removeEventListener("change", change);
  }, [ratio]);
  return ratio;
}
