/** The shop's side: puts an editor into a frame of the shop's page, and speaks with it. */
import type { SessionKey } from "../types.js";
import { type FrameConfig, type FromFrame, type FromShop, isGreeting } from "./words.js";

export type { FrameConfig } from "./words.js";

export interface EditorOptions {
  /** The editor's page, on an origin of its own. */
  url: string;
  /** Where the frame goes: an element, or the selector of one; or instead of it a modal dialogue. */
  container?: Element | string;
  modal?: boolean;
  document?: string;
  lang?: string;
  /** The frame is as high as its content, instead of as its container. */
  autoHeight?: boolean;
  /** What the frame is called by those who do not see it. */
  title?: string;
  /** Asked whenever the editor needs a token. */
  getToken?: () => Promise<string> | string;
  onReady?: (detail: unknown) => void;
  onSaved?: (detail: unknown) => void;
  onOrdered?: (detail: unknown) => void;
  onError?: (detail: unknown) => void;
  onState?: (detail: unknown) => void;
  /** It has been closed, by whomever. */
  onClose?: () => void;
  /** Every event of the editor's, those above included. */
  on?: (event: string, detail: unknown) => void;
}

/** What the shop's page keeps, for as long as it stands, so that a frame that is back goes on. */
const sessions = new Map<string, SessionKey>();

/** The least that an editor on an origin of its own needs; README.md says what each is for. */
const SANDBOX = "allow-scripts allow-same-origin allow-forms allow-modals allow-downloads";

export class OrionEditor {
  readonly iframe: HTMLIFrameElement;
  /** Messages that were not of our frame, or were none that it may send here. */
  ignored = 0;
  readonly #options: EditorOptions;
  readonly #origin: string;
  readonly #dialog: HTMLDialogElement | undefined;
  #port: MessagePort | undefined;
  /** Commands for a frame that is not there yet. */
  #waiting: FromShop[] = [];
  #isClosed = false;

  /** Put an editor into the page. */
  static open(options: EditorOptions): OrionEditor {
    return new OrionEditor(options);
  }

  private constructor(options: EditorOptions) {
    const { url, container, modal, title = "Editor" } = options;
    const at = new URL(url, location.href);
    this.#options = options;
    this.#origin = at.origin;
    this.iframe = document.createElement("iframe");
    const { iframe } = this;
    iframe.setAttribute("sandbox", SANDBOX);
    iframe.allow = "clipboard-write; fullscreen";
    iframe.referrerPolicy = "strict-origin";
    iframe.title = title;
    iframe.style.cssText = "border:0;width:100%;height:100%;min-height:0;display:block";
    iframe.src = at.href;
    const host = typeof container === "string" ? document.querySelector(container) : container;
    if (!modal && !host) throw new Error(`no element ${container}`);
    addEventListener("message", this.#greeted);
    if (modal) this.#dialog = this.#openDialog(title);
    else host!.append(iframe);
  }

  /** Tell the editor to do something, such as `order`. */
  send(name: string, detail?: unknown): void {
    const command: FromShop = { type: "command", name, detail };
    if (this.#port) this.#port.postMessage(command);
    else this.#waiting.push(command);
  }

  /** Take the editor out of the page. Its session is kept, for an editor of the same document. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    removeEventListener("message", this.#greeted);
    this.#port?.close();
    this.#dialog?.close();
    (this.#dialog ?? this.iframe).remove();
    this.#options.onClose?.();
  }

  /** A dialogue of the browser's own traps the focus, closes by Escape and gives the focus back. */
  #openDialog(title: string): HTMLDialogElement {
    const dialog = document.createElement("dialog");
    dialog.setAttribute("aria-label", title);
    dialog.setAttribute("aria-modal", "true");
    dialog.style.cssText =
      "display:flex;flex-direction:column;border:0;padding:0;width:95vw;height:95vh;max-width:none;max-height:none";
    const button = document.createElement("button");
    button.textContent = "×";
    button.setAttribute("aria-label", this.#options.lang === "ko" ? "닫기" : "Close");
    button.style.cssText =
      "align-self:end;width:44px;height:32px;border:0;padding:0;background:none;font:24px/1 sans-serif";
    button.onclick = dialog.oncancel = () => this.close();
    dialog.append(button, this.iframe);
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
  }

  get #sessionName(): string {
    return `${this.#options.url} ${this.#options.document}`;
  }

  readonly #greeted = (event: MessageEvent): void => {
    const frame = this.iframe.contentWindow;
    const isOurs = frame && event.source === frame && event.origin === this.#origin;
    if (!isOurs || !isGreeting(event.data, "hello")) {
      this.ignored++;
      return;
    }
    // A frame that has been loaded anew gets a channel of its own: the old one leads nowhere.
    this.#port?.close();
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.onmessage = ({ data }: MessageEvent<FromFrame>) => this.#hear(data, port1);
    const { document, lang, autoHeight, modal } = this.#options;
    const config = { document, lang, autoHeight, modal } as FrameConfig;
    const session = sessions.get(this.#sessionName) ?? null;
    frame.postMessage({ orion: 1, type: "welcome", config, session }, this.#origin, [port2]);
    for (const each of this.#waiting.splice(0)) port1.postMessage(each);
  };

  #hear(message: FromFrame, port: MessagePort): void {
    const options = this.#options;
    if (message.type === "token") {
      void this.#answer(message.id, port);
    } else if (message.type === "session") {
      if (message.session) sessions.set(this.#sessionName, message.session);
      else sessions.delete(this.#sessionName);
    } else if (message.type === "height") {
      if (options.autoHeight) this.iframe.style.height = `${Number(message.height)}px`;
    } else if (message.type === "escape") {
      if (options.modal) this.close();
    } else if (message.type === "event") {
      const { name, detail } = message;
      const { onReady, onSaved, onOrdered, onError, onState } = options;
      const own = {
        ready: onReady,
        saved: onSaved,
        ordered: onOrdered,
        error: onError,
        state: onState,
      };
      if (Object.hasOwn(own, name)) own[name as keyof typeof own]?.(detail);
      options.on?.(name, detail);
    } else this.ignored++;
  }

  async #answer(id: number, port: MessagePort): Promise<void> {
    let answer: FromShop;
    try {
      answer = { type: "token", id, token: (await this.#options.getToken?.()) ?? "" };
    } catch (error) {
      answer = { type: "token", id, error: String((error as Error)?.message) };
    }
    port.postMessage(answer);
  }
}
