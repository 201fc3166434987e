/** What each kind of object has beside its place. */

import { useId, useRef } from "react";
import { Icon } from "../ribbon/icons";
import { addImage, IMAGE_TYPES } from "../workspace/images";
import { useText, useView, useWorkspace } from "../workspace/use";
import type { Editing } from "./editing";
import { Check, Choice, ColorField, Field, NumberField, Section } from "./fields";

interface Props {
  readonly editing: Editing;
}

const ALIGNS = [
  ["left", "alignLeft"],
  ["center", "alignCenter"],
  ["right", "alignRight"],
] as const;

export function TextFields({ editing }: Props) {
  const t = useText();
  const { common, set, end } = editing;
  const bold = common["weight"] === "bold";
  const italic = common["italic"] === true;
  return (
    <>
      <Content editing={editing} rows={4} />
      <Section name={t("font")}>
        <div className="pairs">
          <Choice
            name={t("typeface")}
            value={common["font"] as string | undefined}
            choices={[
              ["sans-serif", t("sansSerif")],
              ["serif", t("serif")],
              ["monospace", t("monospace")],
            ]}
            onChange={(value) => set("font", value)}
          />
          <NumberField
            name={t("size")}
            value={common["size"] as number | undefined}
            least={1}
            most={500}
            onChange={(value) => set("size", value)}
            onEnd={end}
          />
        </div>
        {/* biome-ignore lint/a11y/useSemanticElements: buttons in a row, not a form's fields */}
        <div className="switches" role="group" aria-label={t("style")}>
          <button
            type="button"
            aria-label={t("bold")}
            title={t("bold")}
            aria-pressed={bold}
            onClick={() => set("weight", bold ? "normal" : "bold")}
          >
            <Icon name="bold" />
          </button>
          <button
            type="button"
            aria-label={t("italic")}
            title={t("italic")}
            aria-pressed={italic}
            onClick={() => set("italic", !italic)}
          >
            <Icon name="italic" />
          </button>
          <span className="gap" />
          {ALIGNS.map(([align, icon]) => (
            <button
              key={align}
              type="button"
              aria-label={t(icon)}
              title={t(icon)}
              aria-pressed={common["align"] === align}
              onClick={() => set("align", align)}
            >
              <Icon name={icon} />
            </button>
          ))}
        </div>
        <ColorField
          name={t("color")}
          value={common["color"] as string | undefined}
          onChange={(value) => set("color", value)}
        />
      </Section>
    </>
  );
}

/** The text of a text, a QR code or a barcode, with the fields of the data to put into it. */
function Content({ editing, rows }: Props & { rows: number }) {
  const t = useText();
  const columns = useView((view) => view.report?.data?.columns);
  const area = useRef<HTMLTextAreaElement>(null);
  const { common, set, end } = editing;
  const text = common["text"] as string | undefined;
  const put = (column: string) => {
    const { selectionStart: from, selectionEnd: to } = area.current!;
    const field = `{{${column}}}`;
    set("text", `${(text ?? "").slice(0, from)}${field}${(text ?? "").slice(to)}`);
    end();
    area.current!.focus();
  };
  return (
    <Section name={t("content")}>
      <Field name={t("text")}>
        {(id) => (
          <textarea
            id={id}
            ref={area}
            rows={rows}
            value={text ?? ""}
            placeholder={text === undefined ? "…" : ""}
            onChange={({ target }) => set("text", target.value)}
            onBlur={end}
          />
        )}
      </Field>
      {columns && columns.length > 0 && (
        <Choice
          name={t("insertField")}
          value={"" as string}
          choices={[["", t("chooseColumn")], ...columns.map((each) => [each, each] as const)]}
          onChange={(column) => column && put(column)}
        />
      )}
    </Section>
  );
}

export function CodeFields({ editing, barcode }: Props & { barcode: boolean }) {
  const t = useText();
  const { common, set } = editing;
  return (
    <>
      <Content editing={editing} rows={2} />
      <Section name={t("look")}>
        {barcode && (
          <Choice
            name={t("symbology")}
            value={common["symbology"] as string | undefined}
            choices={[
              ["code128", "Code 128"],
              ["ean13", "EAN-13"],
              ["code39", "Code 39"],
            ]}
            onChange={(value) => set("symbology", value)}
          />
        )}
        <ColorField
          name={t("color")}
          value={common["color"] as string | undefined}
          onChange={(value) => set("color", value)}
        />
        {barcode && (
          <Check
            name={t("labelBelow")}
            value={common["label"] as boolean | undefined}
            onChange={(value) => set("label", value)}
          />
        )}
      </Section>
    </>
  );
}

function StrokeWidth({ editing }: Props) {
  const t = useText();
  return (
    <NumberField
      name={t("lineWidth")}
      value={editing.common["line_width"] as number | undefined}
      least={0}
      most={100}
      step={0.25}
      onChange={(value) => editing.set("line_width", value)}
      onEnd={editing.end}
    />
  );
}

export function RectangleFields({ editing }: Props) {
  const t = useText();
  const { common, set } = editing;
  return (
    <Section name={t("look")}>
      <ColorField
        name={t("fill")}
        none={t("none")}
        value={common["fill"] as string | undefined}
        onChange={(value) => set("fill", value)}
      />
      <ColorField
        name={t("stroke")}
        none={t("none")}
        value={common["stroke"] as string | undefined}
        onChange={(value) => set("stroke", value)}
      />
      <StrokeWidth editing={editing} />
    </Section>
  );
}

export function LineFields({ editing }: Props) {
  const t = useText();
  return (
    <Section name={t("look")}>
      <ColorField
        name={t("stroke")}
        value={editing.common["stroke"] as string | undefined}
        onChange={(value) => editing.set("stroke", value)}
      />
      <StrokeWidth editing={editing} />
    </Section>
  );
}

export function ImageFields({ editing }: Props) {
  const t = useText();
  const workspace = useWorkspace();
  const id = useId();
  return (
    <Section name={t("look")}>
      <Choice
        name={t("fit")}
        value={editing.common["fit"] as string | undefined}
        choices={[
          ["contain", t("fitContain")],
          ["fill", t("fitFill")],
        ]}
        onChange={(value) => editing.set("fit", value)}
      />
      <div className="field">
        <label htmlFor={id}>{t("replaceImage")}</label>
        <input
          id={id}
          type="file"
          accept={IMAGE_TYPES.join()}
          onChange={({ target }) => {
            const [file] = target.files ?? [];
            if (file) void addImage(workspace, file);
            target.value = "";
          }}
        />
      </div>
    </Section>
  );
}
