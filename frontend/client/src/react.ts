/** The client as a hook, for React 18 and 19. */
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { OrionClient } from "./client.js";
import type { Payload } from "./codes.js";
import type { Client, Options, State } from "./types.js";

export interface Orion {
  readonly client: OrionClient;
  readonly state: State;
  readonly request: Client["request"];
  readonly notify: Client["notify"];
}

/**
 * A client that lives as long as the component: connected after it has been mounted, closed when
 * it is unmounted. Another `url` means another client; `options` are those of the first render.
 * What is asked for before there is a connection waits for it.
 */
export function useOrion(url: string, options: Options = {}): Orion {
  const [made, setMade] = useState(() => make(url, options));
  let orion = made;
  if (orion.url !== url) {
    orion = make(url, options);
    setMade(orion);
  }
  const { client } = orion;
  useEffect(() => {
    // StrictMode mounts everything twice: only what is still unmounted a moment later is closed.
    clearTimeout(orion.closing);
    if (!orion.isStarted && !options.lazy) client.reconnect();
    orion.isStarted = true;
    return () => {
      orion.closing = setTimeout(() => {
        orion.isStarted = false;
        void client.close();
      });
    };
  }, [client, orion, options.lazy]);
  const listen = useCallback((changed: () => void) => client.on("state", changed), [client]);
  const state = useSyncExternalStore(
    listen,
    () => client.state,
    () => client.state,
  );
  return { client, state, request: orion.request, notify: orion.notify };
}

/** Call `listener` with every push; it may be another function at each render. */
export function useOrionPush(client: Pick<Client, "on">, listener: (push: Payload) => void): void {
  const latest = useRef(listener);
  useEffect(() => {
    latest.current = listener;
  });
  useEffect(() => client.on("push", (push) => latest.current(push)), [client]);
}

interface Made {
  readonly url: string;
  readonly client: OrionClient;
  readonly request: Client["request"];
  readonly notify: Client["notify"];
  isStarted: boolean;
  closing: ReturnType<typeof setTimeout> | undefined;
}

function make(url: string, options: Options): Made {
  const client = new OrionClient(url, { ...options, lazy: true });
  return {
    url,
    client,
    request: client.request.bind(client),
    notify: client.notify.bind(client),
    isStarted: false,
    closing: undefined,
  };
}
