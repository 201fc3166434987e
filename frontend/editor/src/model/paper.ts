/** The sizes that paper has, in points, the short side first; and which one a page has. */

export const PAPERS = {
  a4: [595, 842],
  a5: [420, 595],
  letter: [612, 792],
  label: [170, 283],
  card: [153, 243],
} as const;
export type Paper = keyof typeof PAPERS;
export type Shape = "portrait" | "landscape";

export interface Size {
  readonly width: number;
  readonly height: number;
}

export function sizeOf(paper: Paper, shape: Shape): Size {
  const [width, height] = PAPERS[paper];
  return lying({ width, height }, shape);
}

/** Return a size that lies this way. */
export function lying({ width, height }: Size, shape: Shape): Size {
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  return shape === "portrait" ? { width: short, height: long } : { width: long, height: short };
}

export function shapeOf({ width, height }: Size): Shape {
  return width > height ? "landscape" : "portrait";
}

/** Return the paper of this size, whichever way it lies; undefined where there is none. */
export function paperOf({ width, height }: Size): Paper | undefined {
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  // Half a point is less than cutters are exact to.
  const isNear = (one: number, other: number) => Math.abs(one - other) <= 0.5;
  return (Object.keys(PAPERS) as Paper[]).find(
    (paper) => isNear(PAPERS[paper][0], short) && isNear(PAPERS[paper][1], long),
  );
}
