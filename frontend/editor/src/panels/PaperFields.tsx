/** The fields for a page's paper, and the way it lies. */

import type { Paper, Shape } from "../model/paper";
import { useText } from "../workspace/use";
import { Choice } from "./fields";

interface Props {
  /** Undefined where the page is as large as no paper. */
  readonly paper: Paper | undefined;
  readonly shape: Shape;
  readonly onChange: (paper: Paper | undefined, shape: Shape) => void;
}

export function PaperFields({ paper, shape, onChange }: Props) {
  const t = useText();
  return (
    <>
      <Choice
        name={t("paper")}
        value={paper}
        other={t("otherPaper")}
        choices={[
          ["a4", "A4 · 210 × 297 mm"],
          ["a5", "A5 · 148 × 210 mm"],
          ["letter", "Letter · 216 × 279 mm"],
          ["label", `${t("label")} · 100 × 60 mm`],
          ["card", `${t("card")} · 86 × 54 mm`],
        ]}
        onChange={(chosen) => onChange(chosen, shape)}
      />
      <Choice
        name={t("shape")}
        value={shape}
        choices={[
          ["portrait", t("portrait")],
          ["landscape", t("landscape")],
        ]}
        onChange={(chosen) => onChange(paper, chosen)}
      />
    </>
  );
}
