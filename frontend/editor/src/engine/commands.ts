/** The engine's commands as calls. All but `apply` are requests that may be repeated. */

import type { Client } from "@orion-bridge/client";
import type { Kept } from "../model/ledger";
import { isName } from "../model/properties";
import {
  answer,
  answerWithBytes,
  type Drawing,
  type Listing,
  type Opened,
  type Printed,
  type Synced,
  type Uploaded,
  withBytes,
} from "./messages";

/** As much of the client as is used here. */
export type Link = Pick<Client, "request" | "notify" | "on" | "state" | "reconnect" | "close">;

export interface CallOptions {
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

export class Engine {
  constructor(readonly link: Link) {}

  async documents(): Promise<readonly Listing[]> {
    return (await this.ask<{ documents: readonly Listing[] }>({ cmd: "documents" })).documents;
  }

  /** Make an empty document; the key makes it safe to ask twice. */
  async create(name: string, width: number, height: number, key: string): Promise<number> {
    if (!isName(name)) throw new RangeError("a name has 1 to 100 characters");
    const command = { cmd: "new", name, width, height, key };
    return (await this.ask<{ document: number }>(command)).document;
  }

  open(document: number, client: string): Promise<Opened> {
    return this.ask({ cmd: "open", document, client });
  }

  close(document: number): Promise<unknown> {
    return this.ask({ cmd: "close", document });
  }

  sync(kept: Pick<Kept, "document" | "client">, seq: number): Promise<Synced> {
    const { document, client } = kept;
    return this.ask({ cmd: "sync", document, client, seq }, { timeout: 10_000 });
  }

  save(document: number): Promise<{ revision: number; seq: number }> {
    return this.ask({ cmd: "save", document });
  }

  remove(document: number): Promise<unknown> {
    return this.ask({ cmd: "delete", document });
  }

  render(
    document: number,
    page: string,
    row: number | null,
    options?: CallOptions,
  ): Promise<Drawing> {
    const command = { cmd: "render", document, page, ...(row === null ? {} : { row }) };
    return this.ask(command, options);
  }

  async upload(document: number, type: string, bytes: Uint8Array): Promise<Uploaded> {
    const body = withBytes({ cmd: "upload", document, type }, bytes);
    return answer(await this.link.request(body, { repeat: "safe", timeout: 60_000 }));
  }

  async asset(document: number, asset: string): Promise<Blob> {
    const body = { cmd: "asset", document, asset };
    const payload = await this.link.request(body, { repeat: "safe" });
    const { head, bytes } = answerWithBytes<{ type: string }>(payload);
    return new Blob([bytes], { type: head.type });
  }

  pdf(document: number, rows: "all" | readonly number[] | undefined): Promise<Printed> {
    const command = { cmd: "pdf", document, ...(rows === undefined ? {} : { rows }) };
    return this.ask(command, { timeout: 120_000 });
  }

  async pdfPart(pdf: string, part: number): Promise<Uint8Array<ArrayBuffer>> {
    const payload = await this.link.request({ cmd: "pdf_part", pdf, part }, { repeat: "safe" });
    return answerWithBytes(payload).bytes;
  }

  private async ask<T>(command: object, options?: CallOptions): Promise<T> {
    return answer<T>(await this.link.request(command, { repeat: "safe", ...options }));
  }
}
