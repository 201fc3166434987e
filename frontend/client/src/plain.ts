/**
 * The browser dialect `orion.v1`: JSON objects with `"@MSGID"`, answered by `"msgID"`.
 *
 * There is no resume. What was sent and not answered when the socket breaks has an unknown
 * outcome, unless it is safe to repeat: then it goes out again on the next socket.
 */
import { OUTCOMES } from "./codes.js";
import { Conversation } from "./conversation.js";
import type { Message, Outcome } from "./queue.js";
import { failure, notOk } from "./session.js";
import { Content, type Data } from "./wire.js";

/** Return a body as `Plain` takes it: the text of an object without `"@MSGID"`. */
export function objectText(body: Data): string {
  const object = typeof body === "string" && parsed(body);
  if (!object) throw new TypeError("orion.v1 carries JSON objects only");
  const { "@MSGID": id, ...rest } = object;
  // What has to be written anew may lose the last digits of a number; so only what has to be is.
  return id === undefined && Object.keys(rest).length
    ? (body as string).trim()
    : JSON.stringify(rest);
}

/** Return a message as it goes over the wire. */
export const writePlain = (n: number, text: string): string =>
  `{"@MSGID":${n}${text === "{}" ? "" : ","}${text.slice(1)}`;

export class Plain extends Conversation {
  protected override attach(): void {
    this.stage = "online";
    this.out.push({ do: "attached" });
  }

  protected override leftAlone(): void {
    this.beginAgain("OUTCOME_UNKNOWN");
  }

  protected override write({ n, body }: Message): Data {
    return writePlain(n, body as string);
  }

  protected override hear(data: string | ArrayBuffer): void {
    const isText = typeof data === "string";
    const payload = new Content(isText ? data : new Uint8Array(data));
    const answer = isText && parsed(data);
    if (!answer || answer.msgID === undefined) {
      this.tell("push", payload);
      return;
    }
    const message = this.outbound.find(answer.msgID);
    if (message) this.settle(message, outcome(message, answer, payload));
    else this.tell("error", new Error(`an answer to ${answer.msgID}`));
  }
}

type Answer = { readonly [member: string]: unknown };

function parsed(text: string): Answer | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && !Array.isArray(value) ? (value as Answer) : undefined;
  } catch {
    return undefined;
  }
}

function outcome({ kind, n }: Message, answer: Answer, payload: Content): Outcome {
  const isOk = answer.success !== false;
  const code = !isOk && OUTCOMES.find((each) => each === answer.code);
  if (code) return failure(code, String(answer.message));
  if (kind === "request") return payload;
  // Here even a notification is answered, and nobody else would tell its owner.
  return isOk ? { n, stage: "sent" } : notOk(payload);
}
