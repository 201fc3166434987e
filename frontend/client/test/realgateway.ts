/** The real gateway, started by gateway.py, and a network in front of it that can be cut. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import {
  type AddressInfo,
  createServer,
  connect as dial,
  type Server,
  type Socket,
} from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import type { SocketConstructor } from "../src/types.js";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const VENV = at("../../../.venv/bin/python");

/** Who runs the gateway: the checkout's own Python, or the one that is named. */
export const PYTHON = process.env["PYTHON"] ?? (existsSync(VENV) ? VENV : undefined);

interface Line {
  readonly port?: number;
  readonly ca?: string;
  readonly token?: string;
  readonly got?: Record<string, number>;
}

function parsed({ done, value }: IteratorResult<string>): Line {
  if (done) throw new Error("the gateway's process has ended; what it said stands above");
  return JSON.parse(value);
}

export class RealGateway {
  readonly sockets: SocketConstructor;
  /** How often somebody has connected. */
  connections = 0;
  #pipes = new Set<Socket>();
  #lines: AsyncIterator<string>;

  private constructor(
    readonly process: ChildProcess,
    lines: AsyncIterator<string>,
    readonly server: Server,
    first: Line,
    readonly target: { port: number },
  ) {
    this.#lines = lines;
    const ca = first.ca!;
    this.token = first.token!;
    this.sockets = class extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols, { ca });
      }
    } as unknown as SocketConstructor;
    server.on("connection", (browser) => this.#join(browser));
  }

  readonly token: string;

  static async start(): Promise<RealGateway> {
    const child = spawn(PYTHON!, [at("gateway.py")], { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first: Line = parsed(await lines.next());
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((listening) => server.once("listening", listening));
    return new RealGateway(child, lines, server, first, { port: first.port! });
  }

  get url(): string {
    return `wss://localhost:${(this.server.address() as AddressInfo).port}/ws`;
  }

  /** Break all connections, both sides, by reset. */
  cut(): void {
    for (const each of this.#pipes) each.resetAndDestroy();
  }

  /** End the gateway in good order, and start another one. */
  async restart(): Promise<void> {
    this.target.port = (await this.#ask({ do: "restart" })).port!;
  }

  /** How often each order has come to the engine. */
  async ledger(): Promise<Record<string, number>> {
    return (await this.#ask({ do: "ledger" })).got!;
  }

  async stop(): Promise<void> {
    this.server.close();
    const ended = new Promise((done) => this.process.once("exit", done));
    this.process.stdin!.end();
    await ended;
    this.cut();
  }

  async #ask(command: object): Promise<Line> {
    this.process.stdin!.write(`${JSON.stringify(command)}\n`);
    return parsed(await this.#lines.next());
  }

  #join(browser: Socket): void {
    this.connections++;
    const gateway = dial(this.target.port, "127.0.0.1");
    for (const [from, to] of [
      [browser, gateway],
      [gateway, browser],
    ] as const) {
      this.#pipes.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#pipes.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}
