// The engine's drawing commands on a canvas. Only these names are carried out: what comes over
// the wire never picks a method freely.

export const METHODS = new Set([
  "save", "restore", "translate", "rotate", "fillRect", "strokeRect",
  "beginPath", "moveTo", "lineTo", "stroke", "fillText",
]);
export const PROPERTIES = new Set([
  "fillStyle", "strokeStyle", "lineWidth", "font", "textAlign", "textBaseline",
]);

/**
 * Draw a page. `shifts` are [first, count, dx, dy] of objects that are shown elsewhere than the
 * engine has them yet; each object's commands begin with save and end with restore.
 */
export function draw(context, commands, shifts = []) {
  const begins = new Map(shifts.map((shift) => [shift[0], shift]));
  const ends = new Set(shifts.map(([first, count]) => first + count));
  commands.forEach(([name, ...values], index) => {
    if (ends.has(index)) context.restore();
    const shift = begins.get(index);
    if (shift) {
      context.save();
      context.translate(shift[2], shift[3]);
    }
    if (METHODS.has(name)) context[name](...values);
    else if (name === "drawImage") context.strokeRect(...values.slice(1)); // orion.v1 carries no images
    else if (PROPERTIES.has(name)) context[name] = values[0];
  });
  if (ends.has(commands.length)) context.restore();
}

/** Whether a point, in points of the page, is on an object's box (a little wider if it is thin). */
export function hits(box, x, y, margin) {
  const width = Math.abs(box.width);
  const height = Math.abs(box.height);
  const middleX = box.x + box.width / 2;
  const middleY = box.y + box.height / 2;
  const turn = (-box.rotation * Math.PI) / 180;
  const dx = (x - middleX) * Math.cos(turn) - (y - middleY) * Math.sin(turn);
  const dy = (x - middleX) * Math.sin(turn) + (y - middleY) * Math.cos(turn);
  return (
    Math.abs(dx) <= Math.max(width / 2, margin) && Math.abs(dy) <= Math.max(height / 2, margin)
  );
}
