/** The client: one session with a gateway, over as many sockets as it takes. */
import { OrionError, type Payload } from "./codes.js";
import { BAD_MESSAGE, Connection, type End } from "./connection.js";
import type { Action } from "./conversation.js";
import { objectText, Plain } from "./plain.js";
import type { Message } from "./queue.js";
import { safely } from "./safely.js";
import { Session } from "./session.js";
import type {
  Body,
  Client,
  Events,
  NotifyOptions,
  Options,
  Phase,
  Receipt,
  RequestOptions,
  State,
} from "./types.js";
import { type Data, sizeOf } from "./wire.js";

const DAY = 86_400_000;

export class OrionClient implements Client {
  readonly #options: Options;
  readonly #talk: Session | Plain;
  readonly #connection: Connection;
  readonly #listeners = new Map<keyof Events, Set<(value: never) => void>>();
  #isWorking = false;
  #wake: ReturnType<typeof setTimeout> | undefined;
  #wakeAt = Infinity;
  #phase: Phase = "connecting";
  #end: End = {};
  #recovered: boolean | undefined;
  /** What was told last. */
  #state: State;
  #isToTell = false;

  /** Connects at once, unless `lazy`; `url` may be relative to the page, and `https:`. */
  constructor(url: string, options: Options = {}) {
    const { protocol, queue, patience = 500, session = null, lazy } = options;
    const at = new URL(url, globalThis.location?.href);
    at.protocol = at.protocol.replace("http", "ws");
    const room = { messages: 1000, bytes: 8 << 20, ...queue };
    this.#options = options;
    this.#talk =
      protocol === "orion.v1" ? new Plain(room, patience) : new Session(room, patience, session);
    this.#connection = new Connection(at.href, options, this.#talk, {
      run: () => this.#run(),
      failed: (error) => this.#emit("error", error),
      entered: (phase, end) => {
        this.#phase = phase;
        this.#end = end;
        this.#tell();
      },
    });
    this.#state = this.#look();
    if (!lazy) this.reconnect();
  }

  get state(): State {
    return this.#state;
  }

  request(body: Body, options: RequestOptions = {}): Promise<Payload> {
    return this.#submit("request", body, options) as Promise<Payload>;
  }

  notify(body: Body, options: NotifyOptions = {}): Promise<Receipt> {
    return this.#submit("notify", body, options) as Promise<Receipt>;
  }

  on<E extends keyof Events>(event: E, listener: (value: Events[E]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  reconnect(): void {
    this.#connection.connect();
  }

  async close(): Promise<void> {
    this.#talk.leave("the client was closed");
    this.#run();
    await null; // called by a listener, it is done only when that has returned
    await this.#connection.closed;
  }

  // Messages

  async #submit(kind: Message["kind"], given: Body, options: RequestOptions): Promise<unknown> {
    const { signal, repeat, onProgress, timeout = this.#options.timeout ?? 30_000 } = options;
    if (!(timeout > 0 && timeout <= DAY)) throw new RangeError(`a timeout of ${timeout} ms`);
    const deadline = Date.now() + timeout;
    const isBlob = "arrayBuffer" in Object(given);
    const body = this.#bodyOf(isBlob ? await (given as Blob).arrayBuffer() : given);
    if (this.#phase === "closed") throw new OrionError("CLOSED", "the client was closed", false);
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#talk.giveUp(message, Date.now());
        this.#run();
        reject(new OrionError("ABORTED", "aborted", message.sentAt ? undefined : false));
      };
      const message: Message = {
        kind,
        body,
        size: sizeOf(body),
        deadline,
        repeat,
        onProgress,
        settle: (outcome) => {
          signal?.removeEventListener("abort", abort);
          if (outcome instanceof OrionError) reject(outcome);
          else resolve(outcome);
        },
        n: 0,
        sentAt: 0,
        isGhost: false,
      };
      if (signal?.aborted) return abort();
      signal?.addEventListener("abort", abort);
      this.#talk.submit(message, Date.now());
      this.#run();
    });
  }

  /** Return the body as it goes out; bytes are copied, since they may have to go out again. */
  #bodyOf(body: Body): Data {
    if (ArrayBuffer.isView(body) || body instanceof ArrayBuffer) {
      const { buffer = body as ArrayBuffer, byteOffset, byteLength } = body as ArrayBufferView;
      body = new Uint8Array(buffer, byteOffset, byteLength).slice();
    } else if (typeof body !== "string") body = JSON.stringify(body);
    return this.#talk instanceof Plain ? objectText(body as Data) : (body as Data);
  }

  // Doing what the conversation decides, one thing after the other, wherever it is called from

  #run(): void {
    if (this.#isWorking) return;
    this.#isWorking = true;
    const { out } = this.#talk;
    for (let next = out.shift(); next; next = out.shift()) this.#act(next);
    this.#isWorking = false;
    this.#arm();
    if (this.#isToTell) return;
    this.#isToTell = true;
    // The counts are told once for all that happens in a turn.
    queueMicrotask(() => {
      this.#isToTell = false;
      const { waiting, waitingBytes } = this.#look();
      const { state } = this;
      if (waiting !== state.waiting || waitingBytes !== state.waitingBytes) this.#tell();
    });
  }

  #act(action: Action): void {
    const connection = this.#connection;
    if (action.do === "send") {
      const { data, message } = action;
      connection.send(
        data,
        data.length + (message ? message.size - message.body.length : 0),
        message,
      );
    } else if (action.do === "settle") action.message.settle(action.outcome);
    else if (action.do === "attached") {
      const { session } = action;
      this.#recovered = session?.recovered;
      connection.online();
      if (session) {
        safely(this.#options.onSession, { sid: session.sid, key: session.key });
        this.#emit("session", session);
      }
    } else if (action.do === "tell") {
      if ("within" in action.value) connection.comeBack(action.value.within);
      this.#emit(action.event, action.value);
    } else if (action.do === "fault") {
      this.#emit("error", new Error(action.why));
      connection.ended(BAD_MESSAGE, action.why);
    } else if (action.do === "close") {
      connection.close();
      if (this.#talk instanceof Session) safely(this.#options.onSession, null);
    } else connection.stalled();
  }

  #arm(): void {
    const at = this.#talk.wakeAt;
    if (at === this.#wakeAt) return;
    clearTimeout(this.#wake);
    this.#wakeAt = at;
    const tick = () => {
      this.#wakeAt = Infinity;
      this.#talk.tick(Date.now());
      this.#run();
    };
    if (at < Infinity) this.#wake = setTimeout(tick, at - Date.now());
  }

  // Listeners

  #look(): State {
    const { owned } = this.#talk.outbound;
    return {
      phase: this.#phase,
      waiting: owned.length,
      waitingBytes: owned.reduce((sum, { size }) => sum + size, 0),
      attempt: this.#connection.attempt,
      recovered: this.#recovered,
      ...this.#end,
    };
  }

  #tell(): void {
    this.#state = this.#look();
    this.#emit("state", this.#state);
  }

  #emit<E extends keyof Events>(event: E, value: Events[E]): void {
    for (const each of [...(this.#listeners.get(event) ?? [])]) {
      safely(each as (value: Events[E]) => void, value);
    }
  }
}

/** The same as `new OrionClient`. */
export const connect = (url: string, options?: Options): OrionClient =>
  new OrionClient(url, options);
