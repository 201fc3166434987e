/** Names that nobody else has: of objects and pages, and of us. */

const LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789";

function random(count: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(count));
  return Array.from(bytes, (byte) => LETTERS[byte % LETTERS.length]).join("");
}

/** An id of a new object or page; two browsers that insert at the same time must not choose the same. */
export function newId(prefix: string): string {
  return `${prefix}-${random(10)}`;
}

export function newClient(): string {
  return `c-${random(16)}`;
}
