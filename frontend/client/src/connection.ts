/** One socket after another: tokens, waits between them, and what the page has to do with it. */
import type { Conversation } from "./conversation.js";
import type { Message } from "./queue.js";
import { Reconnect } from "./reconnect.js";
import { safely } from "./safely.js";
import type { Options, Phase, Socket, SocketConstructor } from "./types.js";
import type { Data } from "./wire.js";

const NORMAL = 1000;
/** What a socket ended with that never told: RFC 6455 section 7.4.1. */
export const ABNORMAL = 1006;
/** What the gateway is told that broke the contract. */
export const BAD_MESSAGE = 4500;
/** How long the gateway has to answer a close. */
const CLOSE_TIMEOUT = 5_000;

/** How often the buffer is looked at while somebody wants to know. */
const LOOK_EVERY = 100;
const PAGE_EVENTS = ["online", "offline", "visibilitychange", "pagehide", "pageshow"];

/** Whether the browser says that there is no network. */
const isOffline = (): boolean => globalThis.navigator?.onLine === false;

/** How the last socket ended, and when the next try comes. */
export interface End {
  readonly code?: number;
  readonly reason?: string;
  readonly retryAt?: number;
}

export interface Owner {
  /** Do what the conversation has to be done. */
  run(): void;
  entered(phase: Phase, end: End): void;
  failed(error: Error): void;
}

type Timer = ReturnType<typeof setTimeout>;

export class Connection {
  readonly #reconnect: Reconnect;
  #end: End = {};
  #socket: Socket | undefined;
  /** How many bytes it has been given. */
  #written = 0;
  /** The socket, or the try to get one, that counts: what comes of others is over. */
  #generation = 0;
  #retry: Timer | undefined;
  #connecting: Timer | undefined;
  #isPutAway = false;
  /** Tries since the last connection that could be used. */
  attempt = 0;
  /** Resolves when the socket that was closed last has ended. */
  closed = Promise.resolve();

  constructor(
    readonly url: string,
    readonly options: Options,
    readonly talk: Conversation,
    readonly owner: Owner,
  ) {
    const { minDelay = 500, maxDelay = 20_000, random = Math.random } = options;
    this.#reconnect = new Reconnect(minDelay, maxDelay, random);
  }

  /** Get a socket, in place of any other; a try that is under way goes on. */
  connect(): void {
    if (!this.#connecting) void this.#connect();
  }

  /** Take note that the socket can be used. */
  online(): void {
    clearTimeout(this.#connecting);
    this.#connecting = undefined;
    this.#reconnect.online(Date.now());
    this.attempt = 0;
    this.#enter("online", {});
  }

  /** Take note that the gateway stops, and wants us back within so much time. */
  comeBack(within: number): void {
    this.#reconnect.comeBack(within);
  }

  /** Give bytes to the socket, if there is one: so many on the wire, and whose they are. */
  send(data: Data, bytes: number, message?: Message): void {
    const socket = this.#socket;
    socket?.send(data);
    this.#written += bytes;
    if (!socket || !message?.onProgress) return;
    const { onProgress, size: total } = message;
    const end = this.#written;
    let told = -1;
    const look = () => {
      // What is buffered are the last bytes of all that was written, so order tells whose they are.
      const left = Math.max(socket.bufferedAmount - (this.#written - end), 0);
      const sent = Math.max(total - left, 0);
      const isOver = socket !== this.#socket || message.isGhost;
      if (isOver || sent === total) clearInterval(timer);
      if (!isOver && sent > told) safely(onProgress, { sent, total });
      told = sent;
    };
    const timer = setInterval(look, LOOK_EVERY);
    look();
  }

  /** Nothing is heard: if all has gone out that we had to say, there is nobody any more. */
  stalled(): void {
    if (!this.#socket?.bufferedAmount) this.ended(ABNORMAL, "silence");
  }

  /** End it for good. */
  close(): void {
    const socket = this.#socket;
    this.#leave();
    this.#over({ code: NORMAL, reason: "the client was closed" });
    if (!socket) return;
    this.closed = new Promise((resolve) => {
      const late = setTimeout(resolve, CLOSE_TIMEOUT);
      socket.onclose = () => {
        clearTimeout(late);
        resolve();
      };
    });
  }

  async #connect(): Promise<void> {
    this.#leave();
    const mine = this.#generation;
    const { getToken, tokenIn, protocol = "orion.v2", connectTimeout = 15_000 } = this.options;
    this.attempt++;
    this.#connecting = setTimeout(() => this.ended(ABNORMAL, "no answer"), connectTimeout);
    this.#watch("addEventListener");
    this.#enter("connecting");
    try {
      const token = await getToken?.();
      if (mine !== this.#generation) return;
      const isInHello = tokenIn === "hello";
      const also = token && !isInHello ? [`orion.bearer.${token}`] : [];
      const Kind = this.options.WebSocket ?? (globalThis.WebSocket as SocketConstructor);
      const socket = new Kind(this.url, [protocol, ...also]);
      this.#listen(socket, protocol, isInHello ? token : undefined);
    } catch (error) {
      if (mine !== this.#generation) return;
      this.owner.failed(error as Error);
      this.ended(ABNORMAL, "no socket");
    }
  }

  #listen(socket: Socket, protocol: string, token?: string): void {
    this.#socket = socket;
    this.#written = 0;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      // A gateway without subprotocols speaks the one that is as old as they are.
      if (socket.protocol === protocol || (protocol === "orion.v1" && !socket.protocol)) {
        this.talk.opened(Date.now(), token);
        this.owner.run();
      } else this.ended(BAD_MESSAGE, `no gateway that speaks ${protocol}`);
    };
    socket.onmessage = ({ data }: MessageEvent) => {
      this.talk.received(data, Date.now());
      this.owner.run();
    };
    socket.onclose = ({ code, reason }: CloseEvent) => this.ended(code, reason);
    socket.onerror = () => {}; // all that it tells is told by the close that follows
  }

  /** Be done with the socket, or with the try to get one, and with waiting for the next. */
  #leave(code = NORMAL): void {
    const socket = this.#socket;
    this.#generation++;
    this.#socket = undefined;
    this.#isPutAway = false;
    clearTimeout(this.#connecting);
    clearTimeout(this.#retry);
    this.#connecting = this.#retry = undefined;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
    if (this.talk.stage !== "offline") this.talk.lost();
    this.owner.run();
  }

  /** It has ended, or is to be ended, with this. */
  ended(code: number, reason: string): void {
    this.#leave(code === BAD_MESSAGE ? code : NORMAL);
    const wait = this.#reconnect.after(code, Date.now());
    if (wait === undefined) {
      this.talk.end(`the connection ended with ${code} ${reason}`);
      this.owner.run();
      this.#over({ code, reason });
      return;
    }
    this.#retry = setTimeout(() => this.connect(), wait);
    const retryAt = Date.now() + wait;
    this.#enter(isOffline() ? "offline" : "waiting", { code, reason, retryAt });
  }

  #over(end: End): void {
    this.#watch("removeEventListener");
    this.#enter("closed", end);
  }

  #watch(how: "addEventListener" | "removeEventListener"): void {
    for (const each of PAGE_EVENTS) globalThis[how]?.(each, this.#page);
  }

  /** What happens to the page, or the worker; in Node nothing does. */
  readonly #page = ({ type, persisted }: Event & { persisted?: boolean }): void => {
    if (type === "pagehide") {
      // The page may be shown again: the session is kept for that, and no `bye` is said.
      this.#leave();
      this.#isPutAway = true;
      this.#enter("offline", { code: NORMAL, reason: "the page is hidden" });
    } else if (type === "pageshow") {
      if (persisted && this.#isPutAway) this.connect();
    } else if (this.#retry && globalThis.document?.visibilityState !== "hidden") {
      if (isOffline()) this.#enter("offline");
      else if (this.#reconnect.mayHurry) this.connect();
      else this.#enter("waiting");
    }
  };

  #enter(phase: Phase, end = this.#end): void {
    this.#end = end;
    this.owner.entered(phase, end);
  }
}
