/** What the public interface is made of. Times are milliseconds, sizes bytes. */
import type { OrionError, Payload } from "./codes.js";

/** What names a session, and what proves that it is ours. */
export interface SessionKey {
  readonly sid: string;
  readonly key: string;
}

/** Text as it is, bytes as a binary message; any other object goes as its JSON, in text. */
export type Body = string | ArrayBuffer | ArrayBufferView | Blob | object;

export type Protocol = "orion.v2" | "orion.v1";

export type Phase =
  /** A socket is on its way, up to the gateway's welcome. */
  | "connecting"
  /** Messages go both ways. */
  | "online"
  /** No socket; the next try comes by itself, at `retryAt`. */
  | "waiting"
  /** The same, and the browser says that there is no network: its return is a try at once. */
  | "offline"
  /** No more tries, unless `reconnect` is called. */
  | "closed";

export interface State {
  readonly phase: Phase;
  /** Messages without an outcome. */
  readonly waiting: number;
  /** Bytes of their payloads. */
  readonly waitingBytes: number;
  /** When the next try comes, in milliseconds since the epoch. */
  readonly retryAt?: number;
  /** How many tries there have been since the last connection that could be used. */
  readonly attempt: number;
  /** Whether the session went on, and nothing was missing, at the last welcome. */
  readonly recovered?: boolean | undefined;
  /** The close code and reason of the last socket. */
  readonly code?: number;
  readonly reason?: string;
}

export interface Progress {
  /** Bytes of the message that have left the browser's buffer. */
  readonly sent: number;
  readonly total: number;
}

export interface NotifyOptions {
  /** For everything, waiting included. */
  timeout?: number;
  /** Takes back a message that has not been sent; of one that has been, the answer is given up. */
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

export interface RequestOptions extends NotifyOptions {
  /** Doing it twice does no harm: it may be sent again where nobody knows whether it was done. */
  repeat?: "safe";
}

/** A notification has been sent to the backend. */
export interface Receipt {
  /** The number that the message had in its session. */
  readonly n: number;
  readonly stage: "sent";
}

/** What a `welcome` has said. */
export interface SessionEvent extends SessionKey {
  /** The session went on, and nothing is missing. */
  readonly recovered: boolean;
  /** The session before is gone, with the pushes that it had for us. */
  readonly replaced: boolean;
  /** How many pushes the gateway could not keep while we were away. */
  readonly lost: number;
}

export interface Events {
  push: Payload;
  state: State;
  /** The gateway is about to stop; the client comes back by itself. */
  drain: { readonly within: number };
  session: SessionEvent;
  /** What no message's owner is told: a token that could not be had, a gateway out of its mind. */
  error: OrionError | Error;
}

/** As much of a WebSocket as is used here. */
export interface Socket {
  binaryType: string;
  readonly protocol: string;
  readonly bufferedAmount: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

export type SocketConstructor = new (url: string, protocols: string[]) => Socket;

export interface Options {
  /** Asked before each connection. */
  getToken?: () => Promise<string> | string;
  /** Where the token goes: into the upgrade's head, or, in `orion.v2`, into the first message. */
  tokenIn?: "subprotocol" | "hello";
  protocol?: Protocol;
  /** For where there is no global one, such as the package `ws` in Node. */
  WebSocket?: SocketConstructor;
  /** A session to go on with. */
  session?: SessionKey | null;
  /** Called with every new one, for the page to keep, and with null when it has ended. */
  onSession?: (session: SessionKey | null) => void;
  /** What may wait to be sent. */
  queue?: { messages?: number; bytes?: number };
  /** How long a message may take whose call does not say; 30,000. */
  timeout?: number;
  /** How much longer the gateway's own word on a message is waited for; 500. */
  patience?: number;
  /** How long a connection may take to be of use; 15,000. */
  connectTimeout?: number;
  /** Ceilings of the first wait between connections, and of any; 500 and 20,000. */
  minDelay?: number;
  maxDelay?: number;
  /** Do not connect before `reconnect` is called. */
  lazy?: boolean;
  /** Gives a number from 0 to 1, for the waits. */
  random?: () => number;
}

/** What `OrionClient` offers. */
export interface Client {
  readonly state: State;
  request(body: Body, options?: RequestOptions): Promise<Payload>;
  notify(body: Body, options?: NotifyOptions): Promise<Receipt>;
  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void;
  /** Try again now. */
  reconnect(): void;
  /** End the session; what has no outcome yet fails at once. */
  close(): Promise<void>;
}
