/** The editor's side of the frame: what it may ask of the shop's page, and tell it. */
import {
  type FrameConfig,
  type FromFrame,
  type FromShop,
  type Greeting,
  isGreeting,
} from "./embed/words.js";
import type { SessionKey } from "./types.js";

export type { FrameConfig } from "./embed/words.js";

/** How long the shop has to answer; it may still be loading its script. */
const PATIENCE = 10_000;
/** How often it is greeted in that time. */
const AGAIN = 250;
/** Commands that are kept for a listener which has not come yet. */
const KEPT = 16;

export interface FrameOptions {
  /** The exact origins of the pages that may embed this one, such as `https://shop.example`. */
  shops: readonly string[];
  /** How long the shop has to answer, in milliseconds; 10,000. */
  timeout?: number;
}

export interface Frame {
  /** The origin of the page around us: one of `shops`. */
  readonly shop: string;
  readonly config: FrameConfig;
  /** What the shop has kept of the session, for `OrionClient` to go on with. */
  readonly session: SessionKey | null;
  /** Messages that came from elsewhere, or were none of ours. */
  readonly ignored: number;
  /** Ask the shop for a token. */
  getToken(): Promise<string>;
  /** Have the shop keep what the session can be resumed with; for `onSession`. */
  keepSession(session: SessionKey | null): void;
  /** Tell the shop what has happened: `ready`, `saved`, `ordered`, `error`, `state`, or other. */
  emit(event: string, detail?: unknown): void;
  /** Hear a command of the shop's; one that came before is heard now. Returns the unsubscriber. */
  on(command: string, listener: (detail: unknown) => void): () => void;
  /** The same as `on("order", listener)`. */
  onOrder(listener: (detail: unknown) => void): () => void;
  /** Hear nothing any more. */
  close(): void;
}

/** Whether this page stands in another one's frame. */
export const isFramed = (): boolean => window.parent !== window;

/** Become acquainted with the shop around us; fails if there is none, or it does not answer. */
export function inFrame(options: FrameOptions): Promise<Frame> {
  const { shops, timeout = PATIENCE } = options;
  const shop = window.parent;
  return new Promise((resolve, reject) => {
    if (!isFramed()) return reject(new Error("not in a frame"));
    let ignored = 0;
    const ends = () => {
      clearInterval(greeting);
      clearTimeout(giveUp);
      removeEventListener("message", hear);
    };
    const hear = (event: MessageEvent) => {
      const [port] = event.ports;
      const mayBe = event.source === shop && shops.includes(event.origin);
      if (!mayBe || !port || !isGreeting(event.data, "welcome")) {
        ignored++;
        return;
      }
      ends();
      resolve(new FrameLink(event.origin, event.data, port, ignored));
    };
    const greet = () => {
      const hello: Greeting = { orion: 1, type: "hello" };
      for (const origin of likely(shops)) shop.postMessage(hello, origin);
    };
    addEventListener("message", hear);
    const greeting = setInterval(greet, AGAIN);
    const giveUp = setTimeout(() => {
      ends();
      reject(new Error("no shop has answered"));
    }, timeout);
    greet();
  });
}

/** Return whom to greet: the page that we were loaded by, if it is known, or all that may be. */
function likely(shops: readonly string[]): readonly string[] {
  const { referrer } = document;
  const origin = referrer && new URL(referrer).origin;
  return shops.includes(origin) ? [origin] : shops;
}

interface Asking {
  resolve(token: string): void;
  reject(error: Error): void;
}

class FrameLink implements Frame {
  readonly config: FrameConfig;
  readonly session: SessionKey | null;
  #ignored: number;
  #asked = 0;
  readonly #asking = new Map<number, Asking>();
  readonly #listeners = new Map<string, Set<(detail: unknown) => void>>();
  #kept: { name: string; detail?: unknown }[] = [];
  readonly #undo: (() => void)[] = [];

  constructor(
    readonly shop: string,
    welcome: Greeting & { type: "welcome" },
    readonly port: MessagePort,
    ignored: number,
  ) {
    this.config = welcome.config;
    this.session = welcome.session;
    this.#ignored = ignored;
    // Whoever speaks to the window from now on is nobody whom we know: all goes over the port.
    const stranger = () => void this.#ignored++;
    addEventListener("message", stranger);
    this.#undo.push(() => removeEventListener("message", stranger));
    port.onmessage = ({ data }: MessageEvent<FromShop>) => this.#hear(data);
    if (this.config.autoHeight) this.#followHeight();
    if (this.config.modal) this.#followEscape();
  }

  get ignored(): number {
    return this.#ignored;
  }

  getToken(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#asking.set(++this.#asked, { resolve, reject });
      this.#say({ type: "token", id: this.#asked });
    });
  }

  keepSession(session: SessionKey | null): void {
    this.#say({ type: "session", session });
  }

  emit(name: string, detail?: unknown): void {
    this.#say({ type: "event", name, detail });
  }

  on(command: string, listener: (detail: unknown) => void): () => void {
    const listeners = this.#listeners.get(command) ?? new Set();
    this.#listeners.set(command, listeners.add(listener));
    const due = this.#kept.filter(({ name }) => name === command);
    this.#kept = this.#kept.filter(({ name }) => name !== command);
    for (const { detail } of due) listener(detail);
    return () => void listeners.delete(listener);
  }

  onOrder(listener: (detail: unknown) => void): () => void {
    return this.on("order", listener);
  }

  close(): void {
    for (const undo of this.#undo.splice(0)) undo();
    this.port.close();
    for (const { reject } of this.#asking.values()) reject(new Error("the frame was closed"));
    this.#asking.clear();
  }

  #say(message: FromFrame): void {
    this.port.postMessage(message);
  }

  #hear(message: FromShop): void {
    if (message.type === "token") {
      const asking = this.#asking.get(message.id);
      this.#asking.delete(message.id);
      if (message.token === undefined) asking?.reject(new Error(message.error ?? "no token"));
      else asking?.resolve(message.token);
    } else if (message.type === "command") {
      const listeners = this.#listeners.get(message.name);
      if (listeners?.size) for (const each of [...listeners]) each(message.detail);
      else this.#kept = [...this.#kept, message].slice(-KEPT);
    }
  }

  #followHeight(): void {
    const root = document.documentElement;
    const watch = new ResizeObserver(() =>
      this.#say({ type: "height", height: Math.ceil(root.getBoundingClientRect().height) }),
    );
    watch.observe(root);
    this.#undo.push(() => watch.disconnect());
  }

  /** The shop hears no key that is pressed in here. */
  #followEscape(): void {
    const press = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      // The page's own listeners may come after this one, and have something to close themselves.
      setTimeout(() => {
        if (!event.defaultPrevented) this.#say({ type: "escape" });
      });
    };
    addEventListener("keydown", press);
    this.#undo.push(() => removeEventListener("keydown", press));
  }
}
