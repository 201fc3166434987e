// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { OrionClient } from "../src/client.js";
import { Net, settled } from "./fake.js";

let net: Net;
let client: OrionClient;

beforeEach(async () => {
  vi.useFakeTimers();
  net = new Net();
  client = await net.client();
});
afterEach(() => {
  void client.close();
  vi.useRealTimers();
});

const page = (event: string, more: object = {}) =>
  window.dispatchEvent(Object.assign(new Event(event), more));

function look(visibility: "visible" | "hidden"): void {
  vi.spyOn(document, "visibilityState", "get").mockReturnValue(visibility);
  document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
}

function network(isThere: boolean): void {
  vi.spyOn(navigator, "onLine", "get").mockReturnValue(isThere);
  page(isThere ? "online" : "offline");
}

describe("a page", () => {
  it("that gets its network back is connected at once", async () => {
    net.last.welcome();
    network(false);
    expect(client.state.phase).toBe("online"); // what the browser says may be wrong
    net.last.end();
    expect(client.state).toMatchObject({ phase: "offline", retryAt: expect.any(Number) });
    network(true);
    await settled();
    expect([client.state.phase, net.sockets.length]).toEqual(["connecting", 2]);
  });

  it("whose network goes while it waits says so, and tries nevertheless", async () => {
    net.last.end();
    expect(client.state.phase).toBe("waiting");
    network(false);
    expect(client.state.phase).toBe("offline");
    await vi.advanceTimersByTimeAsync(250);
    expect(net.sockets).toHaveLength(2);
  });

  it("that is looked at again is connected at once", async () => {
    net.last.end();
    look("hidden");
    await settled();
    expect(net.sockets).toHaveLength(1);
    look("visible");
    await settled();
    expect(net.sockets).toHaveLength(2);
    look("visible");
    await settled();
    expect(net.sockets).toHaveLength(2); // one is on its way
  });

  it("does not hurry after a drain: all the others would, too", async () => {
    net.last.welcome().hear({ type: "drain", within: 20_000 });
    net.last.end(1001);
    look("visible");
    network(false);
    network(true);
    await settled();
    expect([client.state.phase, net.sockets.length]).toEqual(["waiting", 1]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(net.sockets).toHaveLength(2);
  });

  it("that is put away closes its socket without a bye, and goes on when it is shown", async () => {
    const socket = net.last.welcome();
    const asked = client.request("a");
    page("pagehide", { persisted: true });
    expect([socket.closed, socket.headers.at(-1)!.type]).toEqual([1000, "request"]);
    expect(client.state).toMatchObject({ phase: "offline", waiting: 1 });
    network(true);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(net.sockets).toHaveLength(1);
    page("pageshow", { persisted: true });
    await settled();
    net.last.welcome({ recovered: true, ack: 1 });
    net.last.hear({ type: "result", s: 1, n: 1 }, "done");
    expect((await asked).text()).toBe("done");
  });

  it("that is shown for the first time changes nothing", async () => {
    page("pageshow", { persisted: false });
    await settled();
    expect(net.sockets).toHaveLength(1);
  });

  it("is let go by a client that has ended", async () => {
    void client.close();
    for (const event of ["online", "pagehide", "pageshow"]) page(event, { persisted: true });
    look("visible");
    await settled();
    expect([client.state.phase, net.sockets.length]).toEqual(["closed", 1]);
  });
});
