/** Images from files, made small enough for one message, uploaded and put on the page. */

import { NotDone } from "../engine/messages";
import { insert } from "./objects";
import { pageOf, selected } from "./view";
import type { Workspace } from "./workspace";

export const IMAGE_TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/** Bytes of an image: a message takes 1 MiB where nothing else is said, its head included. */
const MOST = 960 * 1024;
/** Pixels along the longer side; more than a printed page shows. */
const LONGEST = 2_400;

/** Upload a file and put it on the page, or into the selected image. */
export async function addImage(
  workspace: Workspace,
  file: Blob,
  at?: { x: number; y: number },
): Promise<void> {
  const document = workspace.state.report?.id;
  const page = pageOf(workspace.state);
  if (document === undefined || !page) return;
  if (!IMAGE_TYPES.includes(file.type)) {
    workspace.toasts.show({ key: "notAnImage" }, "warning");
    return;
  }
  workspace.view.set({ uploading: true });
  try {
    const bitmap = await createImageBitmap(file);
    const small = await smaller(file, bitmap);
    const bytes = new Uint8Array(await small.arrayBuffer());
    const { asset } = await workspace.engine.upload(document, small.type, bytes);
    if (workspace.state.report?.id !== document) return; // another one has been opened meanwhile
    workspace.drawings.keepImage(asset, bitmap);
    const [object, ...more] = selected(workspace.state);
    if (object?.kind === "image" && !more.length && !at)
      workspace.edit("replaceImage", [{ op: "set", id: object.id, set: { asset } }]);
    else insert(workspace, { kind: "image", asset, ...fitted(bitmap, page) }, at);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const key = error instanceof NotDone ? "refusedBecause" : "imageFailed";
    workspace.toasts.show({ key, values: { reason } }, "warning");
  } finally {
    workspace.view.set({ uploading: false });
  }
}

/** Half the page at most, and at 96 pixels to the inch if it is smaller than that. */
function fitted(image: ImageBitmap, page: { width: number; height: number }) {
  const scale = Math.min(0.75, page.width / 2 / image.width, page.height / 2 / image.height);
  return {
    width: Math.max(8, Math.round(image.width * scale)),
    height: Math.max(8, Math.round(image.height * scale)),
  };
}

async function smaller(file: Blob, bitmap: ImageBitmap): Promise<Blob> {
  let longest = Math.min(LONGEST, Math.max(bitmap.width, bitmap.height));
  if (file.size <= MOST && longest === Math.max(bitmap.width, bitmap.height)) return file;
  // A PNG may have holes, which a JPEG has not; most photographs come as something else.
  const types = file.type === "image/jpeg" ? ["image/jpeg"] : [file.type, "image/webp"];
  for (; longest >= 64; longest = Math.round(longest * 0.75))
    for (const type of types) {
      const result = await scaled(bitmap, longest, type === "image/gif" ? "image/png" : type);
      if (result.size <= MOST) return result;
    }
  throw new Error("the image is too large");
}

function scaled(bitmap: ImageBitmap, longest: number, type: string): Promise<Blob> {
  const scale = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new Error("the image cannot be drawn"))),
      type,
      0.85,
    ),
  );
}
