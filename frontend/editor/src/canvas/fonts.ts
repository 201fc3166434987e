/**
 * What stands behind the three fonts of a report. The engine breaks lines by the widths of Helvetica and
 * its kin, and prints in them; left to itself a browser takes what its language suggests.
 */

import type { Font, TextObject } from "../model/types";

const FAMILIES: Readonly<Record<Font, string>> = {
  "sans-serif":
    'Helvetica, Arial, "Liberation Sans", "Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans KR", "Noto Sans CJK KR", sans-serif',
  serif:
    '"Times New Roman", Times, "Liberation Serif", "AppleMyungjo", Batang, "Noto Serif CJK KR", serif',
  monospace: '"Courier New", Courier, "Liberation Mono", "Noto Sans Mono CJK KR", monospace',
};

const GENERIC = /(sans-serif|serif|monospace)$/;

/** Return a font of the engine's, such as `bold 14px serif`, with the family that it means. */
export function withFamily(font: string): string {
  return font.replace(GENERIC, (name) => FAMILIES[name as Font]);
}

export function fontOf(object: TextObject, scale = 1): string {
  const italic = object.italic ? "italic " : "";
  return withFamily(`${italic}${object.weight} ${object.size * scale}px ${object.font}`);
}
