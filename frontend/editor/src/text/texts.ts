/** The words of the editor, in the person's language. */

import { en } from "./en";
import { ko } from "./ko";

export type TextKey = keyof typeof en;
export type Language = "en" | "ko";
export const LANGUAGES: readonly (readonly [Language, string])[] = [
  ["en", "English"],
  ["ko", "한국어"],
];

const TEXTS: Readonly<Record<Language, Readonly<Record<TextKey, string>>>> = { en, ko };

/** Choose among the languages that we have; the first that is wished for and there. */
export function languageOf(wished: readonly (string | undefined)[]): Language {
  for (const each of wished) {
    const language = each?.slice(0, 2).toLowerCase();
    if (language === "en" || language === "ko") return language;
  }
  return "en";
}

/** Return a text with its gaps filled. Of forms `one|many` or `none|one|many`, `count` chooses. */
export function say(
  language: Language,
  key: TextKey,
  values: Readonly<Record<string, string | number>> = {},
): string {
  const forms = TEXTS[language][key].split("|");
  const count = Number(values["count"] ?? 1);
  const index = forms.length === 3 ? Math.min(count, 2) : count === 1 ? 0 : 1;
  const form = forms[Math.min(index, forms.length - 1)]!;
  return form.replace(/\{(\w+)\}/g, (gap, name: string) => String(values[name] ?? gap));
}
