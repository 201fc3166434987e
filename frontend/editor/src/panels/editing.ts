/** The properties of what is selected, as the fields of the panel show and set them. */

/** What several objects have in common; undefined where they differ. */
export type Common = Readonly<Record<string, unknown>>;

export interface Editing {
  readonly common: Common;
  /** Set a property of all of them, soon: more may follow. */
  set(name: string, value: unknown): void;
  /** Now. */
  end(): void;
}
