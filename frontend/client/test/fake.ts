/** Sockets that lead nowhere: a test hears what is said on them, and says what comes back. */
import { vi } from "vitest";
import { OrionClient } from "../src/client.js";
import type { Options, Socket, SocketConstructor } from "../src/types.js";

export type Header = { type: string; [member: string]: unknown };

export const SID = "AgICAgICAgICAgIC";

export class FakeSocket implements Socket {
  binaryType = "blob";
  protocol = "";
  bufferedAmount = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string | ArrayBuffer }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly said: (string | Uint8Array)[] = [];
  /** How the client has closed it. */
  closed: number | undefined;

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {}

  send(data: string | Uint8Array): void {
    this.said.push(data);
  }

  close(code = 1005): void {
    this.closed ??= code;
  }

  // What the other side does

  open(protocol = this.protocols[0]!): this {
    this.protocol = protocol;
    this.onopen?.();
    return this;
  }

  hear(header: Header | object, payload?: string): void {
    const line = JSON.stringify(header);
    this.onmessage?.({ data: payload === undefined ? line : `${line}\n${payload}` });
  }

  welcome(more: object = {}): this {
    this.open();
    this.hear({
      type: "welcome",
      sid: SID,
      key: `key-${this.said.length}`,
      epoch: "e",
      recovered: false,
      ack: 0,
      ttl: 120000,
      window: 64,
      window_bytes: 1048576,
      message: 1048576,
      ...more,
    });
    return this;
  }

  end(code = 1006, reason = ""): void {
    this.onclose?.({ code, reason });
  }

  /** The headers of what the client has said. */
  get headers(): Header[] {
    return this.said.map((each) => {
      const text = typeof each === "string" ? each : Buffer.from(each).toString("latin1");
      return JSON.parse(text.split("\n", 1)[0]!);
    });
  }

  get payloads(): string[] {
    return this.said.map((each) => String(each).slice(String(each).indexOf("\n") + 1));
  }
}

/** All sockets of one client, and the client. */
export class Net {
  readonly sockets: FakeSocket[] = [];
  readonly Socket: SocketConstructor;

  constructor() {
    const { sockets } = this;
    this.Socket = class extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    };
  }

  get last(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  /** Let the next socket come, on a fake clock, and be welcome. */
  async comeBack(more: object = {}): Promise<FakeSocket> {
    await vi.advanceTimersByTimeAsync(250);
    return this.last.welcome(more);
  }

  /** Return a client whose first socket is there already. */
  async client(options: Options = {}): Promise<OrionClient> {
    const client = new OrionClient("wss://gateway.example/ws", {
      WebSocket: this.Socket,
      random: () => 0.5,
      ...options,
    });
    await settled();
    return client;
  }
}

/** Let all that is promised by now be done. */
export const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
};

/** How a promise has ended: with its value, or with its error's code; undefined: not yet. */
export function watch(promise: Promise<unknown>): { outcome: unknown } {
  const seen: { outcome: unknown } = { outcome: undefined };
  promise.then(
    (value) => {
      seen.outcome = value;
    },
    (error) => {
      seen.outcome = error.code ?? error;
    },
  );
  return seen;
}
