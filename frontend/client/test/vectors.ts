/** The examples of docs/wire.md, read from the page itself: each a test vector, to the byte. */
import { readFileSync } from "node:fs";

export interface Vector {
  readonly name: string;
  readonly sender: string;
  readonly isBinary: boolean;
  readonly octets: Uint8Array;
  /** As a WebSocket hands it over. */
  readonly data: string | ArrayBuffer;
}

const PAGE = new URL("../../../docs/wire.md", import.meta.url);
const MARK =
  /<!-- vector: ([a-z0-9-]+), (browser|gateway|to-backend|backend)(, binary)?(, hex)? -->\n```\n([\s\S]*?)\n```\n/g;

function readVectors(): Map<string, Vector> {
  const page = readFileSync(PAGE, "utf8");
  const vectors = new Map<string, Vector>();
  for (const [, name, sender, binary, hex, text] of page.matchAll(MARK)) {
    const octets = Uint8Array.from(Buffer.from(text!, hex ? "hex" : "utf8"));
    const isBinary = binary !== undefined;
    const data = isBinary ? octets.buffer : Buffer.from(octets).toString();
    vectors.set(name!, { name: name!, sender: sender!, isBinary, octets, data });
  }
  // The page's own test holds that each mark is well-formed; a reader that misses some is ours.
  const marks = page.match(/<!-- vector: /g)!.length;
  if (marks !== vectors.size) throw new Error(`${vectors.size} of ${marks} vectors were read`);
  return vectors;
}

export const vectors = readVectors();

export const of = (sender: string): Vector[] =>
  [...vectors.values()].filter((each) => each.sender === sender);
