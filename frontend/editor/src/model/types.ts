/**
 * What a report is, in the engine's words (docs/engine.md): lengths in points, y downwards, angles in
 * degrees clockwise about the middle of an object's box. Everything here is frozen; a change makes a
 * new document that shares the untouched parts with the old one.
 */

export interface Placed {
  readonly id: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly rotation: number;
}

export type Align = "left" | "center" | "right";
export type Font = "sans-serif" | "serif" | "monospace";
export type Symbology = "code128" | "ean13" | "code39";

export interface TextObject extends Placed {
  readonly kind: "text";
  readonly text: string;
  readonly font: Font;
  readonly size: number;
  readonly weight: "normal" | "bold";
  readonly italic: boolean;
  readonly color: string;
  readonly align: Align;
}

export interface RectangleObject extends Placed {
  readonly kind: "rectangle";
  readonly fill: string;
  readonly stroke: string;
  readonly line_width: number;
}

export interface LineObject extends Placed {
  readonly kind: "line";
  readonly stroke: string;
  readonly line_width: number;
}

export interface ImageObject extends Placed {
  readonly kind: "image";
  readonly asset: string;
  readonly fit: "contain" | "fill";
}

export interface QrObject extends Placed {
  readonly kind: "qrcode";
  readonly text: string;
  readonly color: string;
}

export interface BarcodeObject extends Placed {
  readonly kind: "barcode";
  readonly text: string;
  readonly symbology: Symbology;
  readonly color: string;
  readonly label: boolean;
}

export type PageObject =
  | TextObject
  | RectangleObject
  | LineObject
  | ImageObject
  | QrObject
  | BarcodeObject;
export type Kind = PageObject["kind"];

export interface Page {
  readonly id: string;
  readonly width: number;
  readonly height: number;
  readonly objects: readonly PageObject[];
}

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Report {
  readonly id: number;
  readonly name: string;
  readonly pages: readonly Page[];
  readonly data: Table | null;
}

/** Properties of an object by name, as `set` carries them. */
export type Properties = Readonly<Record<string, unknown>>;

export type Change =
  | {
      readonly op: "insert";
      readonly page: string;
      readonly object: ObjectInput;
      readonly at?: number;
    }
  | { readonly op: "set"; readonly id: string; readonly set: Properties }
  | { readonly op: "remove"; readonly id: string }
  | { readonly op: "order"; readonly id: string; readonly at: number }
  | { readonly op: "insert_page"; readonly page: PageInput; readonly at?: number }
  | { readonly op: "remove_page"; readonly id: string }
  | {
      readonly op: "resize_page";
      readonly id: string;
      readonly width: number;
      readonly height: number;
    }
  | { readonly op: "rename"; readonly name: string }
  | { readonly op: "data"; readonly data: Table | null };

/** An object as it is inserted: what is left out takes its default. */
export type ObjectInput = Readonly<Record<string, unknown>> & {
  readonly id: string;
  readonly kind: string;
};
export type PageInput = {
  readonly id: string;
  readonly width?: number;
  readonly height?: number;
  readonly objects?: readonly ObjectInput[];
};
