/** A client whose link loses, doubles and delays, by a seed; and one that does none of it. */

import type { Client, Payload, Receipt, State } from "@orion-bridge/client";
import type { Link } from "../../src/engine/commands";
import type { FakeEngine } from "./engine";

export function payloadOf(value: object): Payload {
  const text = JSON.stringify(value);
  return {
    text: () => text,
    json: <T>() => JSON.parse(text) as T,
    bytes: () => new TextEncoder().encode(text),
    binary: false,
  };
}

/** Mulberry32: a number from 0 to 1, the same ones for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface Faults {
  readonly drop: number;
  readonly twice: number;
}

type Listeners = Map<string, Set<(value: never) => void>>;

export class FakeLink implements Link {
  state: State = { phase: "online", waiting: 0, waitingBytes: 0, attempt: 0 };
  notified = 0;
  private readonly listeners: Listeners = new Map();
  private life = 0;

  constructor(
    private readonly engine: FakeEngine,
    private readonly random: () => number = () => 0.5,
    public faults: Faults = { drop: 0, twice: 0 },
  ) {}

  readonly say = (event: object): void => this.later(() => this.emit("push", payloadOf(event)));

  readonly on: Client["on"] = (event, listener) => {
    const listeners = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, listeners.add(listener as (value: never) => void));
    return () => void listeners.delete(listener as (value: never) => void);
  };

  request(body: unknown): Promise<Payload> {
    return new Promise((resolve, reject) => {
      const timeout = setTimeout(() => reject(new Error("TIMEOUT")), 3_000);
      this.later(() => {
        const result = this.engine.take(structuredClone(body) as never, this.say);
        this.later(() => {
          clearTimeout(timeout);
          resolve(payloadOf(result));
        });
      });
    });
  }

  notify(body: unknown): Promise<Receipt> {
    this.notified += 1;
    const copy = structuredClone(body) as never;
    return new Promise((resolve, reject) => {
      const lost = this.random() < this.faults.drop / 2;
      this.later(() => void this.engine.take(copy, this.say));
      setTimeout(
        () => (lost ? reject(new Error("EXPIRED")) : resolve({ n: 1, stage: "sent" })),
        20,
      );
    });
  }

  /** Break the link, with all that is under way. */
  cut(): void {
    this.life += 1;
    this.become("waiting");
  }

  become(phase: State["phase"]): void {
    this.state = { ...this.state, phase };
    this.emit("state", this.state);
  }

  reconnect(): void {
    this.become("online");
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private later(act: () => void): void {
    const { life } = this;
    const { drop, twice } = this.faults;
    if (this.random() < drop) return;
    const times = this.random() < twice ? 2 : 1;
    for (let time = 0; time < times; time++)
      setTimeout(() => life === this.life && act(), 10 + time * 300 * this.random());
  }

  private emit(event: string, value: unknown): void {
    for (const listener of this.listeners.get(event) ?? []) listener(value as never);
  }
}
