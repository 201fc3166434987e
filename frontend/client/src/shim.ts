/** The interface of an older MessageHandler, for an editor that calls it: callbacks, one answer each. */
import { OrionClient } from "./client.js";
import { OrionError, type Payload } from "./codes.js";
import type { Options, State } from "./types.js";

/** What an answer says; what else the backend adds to it is in here, too. */
export interface ApiResult {
  success: boolean;
  message: string;
  msgID: number;
  /** Why there is no answer of the backend's. */
  code?: string;
  [member: string]: unknown;
}

export type ApiCallback = (result: ApiResult) => void;

export interface MessageHandlerOptions extends Options {
  /** Called with what the backend says on its own. */
  onMessage?: (message: unknown) => void;
  onState?: (state: State) => void;
}

export class MessageHandler {
  readonly client: OrionClient;
  #last = 0;

  constructor(url: string, options: MessageHandlerOptions = {}) {
    const { onMessage, onState, ...rest } = options;
    this.client = new OrionClient(url, rest);
    if (onMessage) this.client.on("push", (push) => onMessage(contentOf(push)));
    if (onState) this.client.on("state", onState);
  }

  get isConnected(): boolean {
    return this.client.state.phase === "online";
  }

  /** Ask for something; `callback` is called exactly once. Returns the message's number. */
  sendData(data: object, callback?: ApiCallback, timeoutMs?: number): number {
    return this.#send(callback, async (msgID) => {
      const content = contentOf(await this.client.request(plain(data), timed(timeoutMs)));
      const isObject = typeof content === "object" && content !== null && !Array.isArray(content);
      const answer = isObject ? content : { result: content };
      return { success: true, message: "", ...answer, msgID };
    });
  }

  /** Tell something; `callback` is called exactly once, with whether it was handed over. */
  sendOneWay(data: object, callback?: ApiCallback, timeoutMs?: number): number {
    return this.#send(callback, async (msgID) => {
      const receipt = await this.client.notify(plain(data), timed(timeoutMs));
      return { success: true, message: receipt.stage, msgID };
    });
  }

  close(): Promise<void> {
    return this.client.close();
  }

  #send(callback: ApiCallback | undefined, ask: (n: number) => Promise<ApiResult>): number {
    const msgID = ++this.#last;
    const failed = (error: unknown): ApiResult => ({
      ...notOk(error),
      success: false,
      message: String((error as Error).message),
      msgID,
      code: error instanceof OrionError ? error.code : "BAD_MESSAGE",
    });
    void ask(msgID)
      .catch(failed)
      .then((result) => callback?.(result));
    return msgID;
  }
}

/** The number is the client's business now. */
function plain(data: object): object {
  const { "@MSGID": _, ...rest } = data as Record<string, unknown>;
  return rest;
}

const timed = (timeout: number | undefined) => (timeout ? { timeout } : {});

/** What the backend has said as it refused. */
function notOk(error: unknown): object {
  const said = error instanceof OrionError && error.payload && contentOf(error.payload);
  return typeof said === "object" && said !== null ? said : {};
}

function contentOf(payload: Payload): unknown {
  if (payload.binary) return payload.bytes();
  try {
    return payload.json();
  } catch {
    return payload.text();
  }
}
