/** How components reach the workspace, its view, and the words of the person's language. */

import { createContext, useCallback, useContext } from "react";
import { say, type TextKey } from "../text/texts";
import { useStore } from "./store";
import type { View } from "./view";
import type { Workspace } from "./workspace";

/** What only an embedded editor can do. */
export interface Shop {
  order(): void;
}

export const WorkspaceContext = createContext<Workspace | null>(null);
export const ShopContext = createContext<Shop | null>(null);

export function useWorkspace(): Workspace {
  const workspace = useContext(WorkspaceContext);
  if (!workspace) throw new Error("outside of a workspace");
  return workspace;
}

export function useView<V>(select: (view: View) => V): V {
  return useStore(useWorkspace().view, select);
}

export type Say = (key: TextKey, values?: Record<string, string | number>) => string;

export function useText(): Say {
  const language = useView((view) => view.language);
  return useCallback((key, values) => say(language, key, values), [language]);
}
