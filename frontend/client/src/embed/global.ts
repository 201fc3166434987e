/** What `embed.js` puts into the page: `OrionEditor.open`. */
import { OrionEditor } from "./index.js";

export const open = OrionEditor.open;
