import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { OrionClient } from "../src/client.js";
import type { OrionError } from "../src/codes.js";
import type { Options, SessionEvent, SessionKey, State } from "../src/types.js";
import { PYTHON, RealGateway } from "./realgateway.js";

let gateway: RealGateway;
let clients: OrionClient[] = [];
let orders = 0;

/** What the engine of tests/faults is asked to do, under an id of its own. */
const order = (what: string, more: object = {}) => ({ id: `t-${++orders}`, do: what, ...more });

function open(options: Options = {}): OrionClient {
  const more = { WebSocket: gateway.sockets, minDelay: 50, maxDelay: 500, ...options };
  const client = new OrionClient(gateway.url, more);
  clients.push(client);
  return client;
}

/** Wait until a client says that it is so. */
const until = (client: OrionClient, holds: (state: State) => boolean): Promise<State> =>
  new Promise((resolve) => {
    const look = () => {
      if (!holds(client.state)) return;
      forget();
      resolve(client.state);
    };
    const forget = client.on("state", look);
    look();
  });

/** Wait until an order has come to the engine. */
async function come({ id }: { id: string }): Promise<void> {
  while (!(await gateway.ledger())[id]) await new Promise((done) => setTimeout(done, 10));
}

const isOnline = ({ phase }: State) => phase === "online";

describe.skipIf(!PYTHON && process.env["CI"] !== "true")("the real gateway", () => {
  beforeAll(async () => {
    gateway = await RealGateway.start();
  }, 60_000);
  afterAll(() => gateway.stop());
  afterEach(async () => {
    await Promise.all(clients.map((client) => client.close()));
    clients = [];
  });

  it("answers requests, text and binary, and gives receipts", async () => {
    const client = open();
    const asked = order("answer", { answer: 10 });
    const answer = await client.request(asked);
    expect(answer.json()).toMatchObject({ id: asked.id, pad: "aaaaaaaaaa" });
    const binary = await client.request(order("binary"));
    expect(binary.binary).toBe(true);
    expect([...binary.bytes().slice(0, 3)]).toEqual([0, 255, 10]);
    const told = order("answer");
    expect(await client.notify(told)).toMatchObject({ stage: "sent" });
    await come(told); // sent is not yet arrived
    const got = await gateway.ledger();
    expect([got[asked.id], got[told.id]]).toEqual([1, 1]);
  });

  it("says NOT_OK, TIMEOUT and TOO_LARGE", async () => {
    const client = open();
    const refused = await client.request(order("not-ok")).catch((error: OrionError) => error);
    expect(refused).toMatchObject({ code: "NOT_OK" });
    expect((refused as OrionError).payload?.json()).toMatchObject({ id: `t-${orders}` });
    const late = client.request(order("drop"), { timeout: 2000 });
    await expect(late).rejects.toMatchObject({ code: "TIMEOUT", wasDone: undefined });
    const large = client.request("x".repeat(256 * 1024 + 1));
    await expect(large).rejects.toMatchObject({ code: "TOO_LARGE", wasDone: false });
    expect(client.state.phase).toBe("online");
  });

  it("goes on with what is under way when sockets are cut, and does nothing twice", async () => {
    const client = open();
    const pushes: number[] = [];
    client.on("push", (push) => pushes.push(push.json<{ serial: number }>().serial));
    await until(client, isOnline);
    const all: { id: string }[] = [];
    const answers = Array.from({ length: 120 }, async (_, made) => {
      const deed =
        made % 10 === 0 ? order("push", { arg: 1 }) : order("delay", { arg: made % 40 });
      all.push(deed);
      await new Promise((done) => setTimeout(done, made * 15));
      const given = made % 3 ? client.request(deed) : client.notify(deed);
      return [deed.id, await given] as const;
    });
    const cutting = setInterval(() => gateway.cut(), 150);
    const before = gateway.connections;
    const done = await Promise.all(answers);
    clearInterval(cutting);
    for (const [id, answer] of done) {
      if ("json" in answer) expect(answer.json()).toMatchObject({ id });
    }
    for (const each of all) await come(each);
    const got = await gateway.ledger();
    expect(all.map(({ id }) => got[id])).toEqual(all.map(() => 1));
    expect(gateway.connections - before).toBeGreaterThan(1);
    expect(new Set(pushes).size).toBe(pushes.length);
    expect(pushes.length).toBeGreaterThan(0);
    expect(client.state).toMatchObject({ waiting: 0, waitingBytes: 0 });
  });

  it("gives a page that was loaded anew its session back", async () => {
    let kept: SessionKey | null = null;
    const onSession = (session: SessionKey | null) => {
      kept = session;
    };
    const first = open({ onSession });
    await first.request(order("answer"));
    const { sid } = kept!;
    const told: SessionEvent[] = [];
    const second = open({ session: kept, onSession });
    second.on("session", (session) => void told.push(session));
    await second.request(order("answer"));
    expect(told).toMatchObject([{ sid, recovered: true, replaced: false }]);
    // The newest socket wins.
    expect(await until(first, ({ phase }) => phase === "closed")).toMatchObject({ code: 4510 });
  });

  it("drains: what is under way ends, what waits goes to the next gateway, nothing twice", async () => {
    const client = open();
    await until(client, isOnline);
    let within = 0;
    const told: SessionEvent[] = [];
    client.on("drain", (drain) => {
      within = drain.within;
    });
    client.on("session", (session) => void told.push(session));
    const slow = order("delay", { arg: 1000 });
    const under = client.request(slow);
    await come(slow);
    const restarted = gateway.restart();
    expect((await under).json()).toMatchObject({ id: slow.id });
    await until(client, ({ phase }) => phase === "waiting");
    expect(client.state).toMatchObject({ code: 1001 });
    expect(within).toBeGreaterThan(0);
    const later = order("answer");
    const answer = client.request(later);
    await restarted;
    client.reconnect();
    expect((await answer).json()).toMatchObject({ id: later.id });
    expect(told).toMatchObject([{ replaced: true, recovered: false }]);
    expect((await gateway.ledger())[later.id]).toBe(1);
  }, 60_000);

  it("tells what a gateway that forgets has left open, and sends again what may be", async () => {
    const client = open();
    await until(client, isOnline);
    const kept = order("keep");
    const unsafe = client.request(kept).catch((error: OrionError) => error);
    const safe = client.request(order("delay", { arg: 500 }), { repeat: "safe" });
    await come(kept);
    gateway.cut();
    const restarting = gateway.restart();
    await restarting;
    client.reconnect();
    // Either the gateway has said so as it stopped, or the next one knows nothing of it.
    expect(["SESSION_LOST", "OUTCOME_UNKNOWN"]).toContain(((await unsafe) as OrionError).code);
    expect((await safe).json()).toMatchObject({ id: `t-${orders}` });
  }, 60_000);

  it("takes a token with the upgrade, or in the first message", async () => {
    for (const tokenIn of ["subprotocol", "hello"] as const) {
      let asked = 0;
      const getToken = async () => {
        asked++;
        return gateway.token;
      };
      const client = open({ getToken, tokenIn });
      await client.request(order("answer"));
      gateway.cut();
      await client.request(order("answer"));
      expect(asked).toBeGreaterThan(1);
    }
    const client = open({ getToken: () => "not.a.token", tokenIn: "hello" });
    expect(await until(client, ({ phase }) => phase === "closed")).toMatchObject({ code: 4508 });
  });

  it("speaks orion.v1, and is told what is open when the socket ends", async () => {
    const client = open({ protocol: "orion.v1" });
    const asked = order("answer");
    const answer = await client.request(asked);
    expect(answer.json()).toMatchObject({ id: asked.id });
    const open_ = client.request(order("drop")).catch((error: OrionError) => error);
    await client.request(order("answer"));
    gateway.cut();
    expect(await open_).toMatchObject({ code: "OUTCOME_UNKNOWN" });
    const again = order("answer");
    expect((await client.request(again)).json()).toMatchObject({ id: again.id });
    const late = client.request(order("drop"), { timeout: 200 });
    await expect(late).rejects.toMatchObject({ code: "TIMEOUT" });
  });
});
