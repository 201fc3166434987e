import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { OrionClient } from "../src/client.js";
import type { SessionKey } from "../src/types.js";
import { ModelGateway } from "./modelgateway.js";
import { seeded } from "./random.js";

const MESSAGES = 150;
const SEEDS = Array.from({ length: 40 }, (_, seed) => seed + Number(process.env["SEED"] ?? 1));

interface Told {
  readonly body: string;
  readonly isSafe: boolean;
  readonly outcomes: string[];
}

/** Hand over messages while the network breaks, and, if told to, while the gateway forgets. */
async function play(seed: number, forgets: boolean) {
  const random = seeded(seed);
  const gateway = new ModelGateway(random);
  const options = { WebSocket: gateway.Socket, random, minDelay: 50, maxDelay: 400 };
  const client = new OrionClient("wss://gateway.example/ws", options);
  const pushes: string[] = [];
  let lost = 0;
  let replaced = 0;
  client.on("push", (push) => void pushes.push(push.text()));
  client.on("session", (session) => {
    lost += session.lost;
    replaced += Number(session.replaced);
  });
  const told: Told[] = [];
  for (let made = 0; made < MESSAGES; made++) {
    const kind = random() < 0.3 ? "notify" : "request";
    const isSafe = kind === "request" && random() < 0.3;
    const one: Told = { body: `${made} ${"x".repeat(random() * 500)}`, isSafe, outcomes: [] };
    told.push(one);
    const asked =
      kind === "notify"
        ? client.notify(one.body, { timeout: 80_000_000 })
        : client.request(one.body, { timeout: 80_000_000, ...(isSafe && { repeat: "safe" }) });
    asked.then(
      (value) => {
        if ("text" in value && value.text() !== one.body) one.outcomes.push("the wrong answer");
        else one.outcomes.push("done");
      },
      (error) => void one.outcomes.push(error.code),
    );
    await vi.advanceTimersByTimeAsync(random() * 30);
    if (random() < 0.1) gateway.cutAll();
    if (random() < 0.2) gateway.push(`push ${made}`);
    if (random() < 0.1) gateway.dropPushes();
    if (forgets && random() < 0.03) gateway.restart();
  }
  await vi.advanceTimersByTimeAsync(60_000);
  return { gateway, client, told, pushes, lost, replaced };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe("under a network that breaks at any moment", () => {
  it.each(SEEDS)("everything is done once, in order, and told; seed %i", async (seed) => {
    const { gateway, client, told, pushes, lost } = await play(seed, false);
    expect(gateway.errors).toEqual([]);
    expect(told.filter(({ outcomes }) => outcomes.join() !== "done")).toEqual([]);
    expect(gateway.order).toEqual(told.map(({ body }) => body));
    expect(new Set(pushes).size).toBe(pushes.length);
    expect(pushes.length + lost).toBe(gateway.pushed.size);
    expect(client.state).toMatchObject({ phase: "online", waiting: 0, waitingBytes: 0 });
  });

  it.each(SEEDS)("a session that is forgotten is no silence; seed %i", async (seed) => {
    const { gateway, client, told, replaced } = await play(seed, true);
    expect(gateway.errors).toEqual([]);
    for (const { body, isSafe, outcomes } of told) {
      const times = gateway.effects.get(body) ?? 0;
      expect(outcomes, body).toHaveLength(1);
      if (isSafe) expect([outcomes[0], times > 0], body).toEqual(["done", true]);
      else if (outcomes[0] === "done") expect(times, body).toBe(1);
      else {
        expect(outcomes[0], body).toBe("SESSION_LOST");
        expect(times, body).toBeLessThan(2);
        expect(replaced).toBeGreaterThan(0);
      }
    }
    expect(client.state).toMatchObject({ phase: "online", waiting: 0 });
  });

  it("a page that comes back with its session goes on with its numbers", async () => {
    const random = seeded(7);
    const gateway = new ModelGateway(random);
    let kept: SessionKey | null = null;
    const options = {
      random,
      onSession: (session: SessionKey | null) => {
        kept = session;
      },
    };
    for (let page = 0; page < 20; page++) {
      let isGone = false;
      class Socket extends gateway.Socket {
        constructor(url: string, protocols: string[]) {
          if (isGone) throw new Error("this page is no more");
          super(url, protocols);
        }
      }
      const more = { WebSocket: Socket, session: kept };
      const client = new OrionClient("wss://gateway.example/ws", { ...options, ...more });
      const asked = client.request(`${page}`);
      await vi.advanceTimersByTimeAsync(500);
      expect((await asked).text()).toBe(`${page}`);
      void client.request(`${page}, and not waited for`).catch(() => {});
      gateway.push(`${page}`);
      await vi.advanceTimersByTimeAsync(random() * 20);
      isGone = true; // and its client is heard of no more
      gateway.cutAll();
    }
    expect(gateway.errors).toEqual([]);
  });
});
