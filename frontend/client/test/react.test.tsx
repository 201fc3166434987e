// @vitest-environment jsdom
import { act, StrictMode, useEffect, useState } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Orion, useOrion, useOrionPush } from "../src/react.js";
import { Net } from "./fake.js";

let net: Net;
let root: Root;
let host: HTMLElement;
let orion: Orion;
let pushes: string[];

function Page({ url = "wss://a.example/ws", prefix = "" }: { url?: string; prefix?: string }) {
  orion = useOrion(url, { WebSocket: net.Socket, random: () => 0.5 });
  useOrionPush(orion.client, (push) => pushes.push(prefix + push.text()));
  return <Answer orion={orion} />;
}

/** Asks for something as soon as it is there. */
function Answer({ orion: { state, request } }: { orion: Orion }) {
  const [answer, setAnswer] = useState("");
  useEffect(() => {
    const gone = new AbortController();
    request("hello", { signal: gone.signal }).then(
      (payload) => setAnswer(payload.text()),
      (error) => error.code === "ABORTED" || setAnswer(error.code),
    );
    return () => gone.abort();
  }, [request]);
  return <p>{`${state.phase} ${state.waiting} ${answer}`}</p>;
}

const advance = (ms = 1) => act(() => vi.advanceTimersByTimeAsync(ms));

beforeEach(() => {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  vi.useFakeTimers();
  net = new Net();
  pushes = [];
  host = document.createElement("div");
  root = createRoot(host);
});
afterEach(async () => {
  await act(async () => root.unmount());
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe.each([
  ["with StrictMode", true],
  ["without StrictMode", false],
])("useOrion, %s", (_, isStrict) => {
  const show = (page: React.ReactNode) =>
    act(async () => root.render(isStrict ? <StrictMode>{page}</StrictMode> : page));

  it("is one client with one connection, which waits for nobody", async () => {
    await show(<Page />);
    await advance();
    expect(net.sockets).toHaveLength(1);
    expect(host.textContent).toBe("connecting 1 ");
    await act(async () => {
      net.last.welcome();
      expect(net.last.payloads.slice(1)).toEqual(["hello"]);
      net.last.hear({ type: "result", s: 1, n: 1 }, "there");
    });
    expect(host.textContent).toBe("online 0 there");
    const { client, request } = orion;
    await show(<Page />);
    expect([orion.client, orion.request]).toEqual([client, request]);
  });

  it("closes when it is unmounted, with a bye", async () => {
    await show(<Page />);
    await advance();
    const socket = await act(async () => net.last.welcome());
    await act(async () => root.render(null));
    await advance();
    expect([socket.headers.at(-1)!.type, socket.closed]).toEqual(["bye", 1000]);
    expect(orion.client.state.phase).toBe("closed");
  });

  it("is another client for another address, and the first one is closed", async () => {
    await show(<Page />);
    await advance();
    const first = orion.client;
    await show(<Page url="wss://b.example/ws" />);
    await advance();
    expect(orion.client).not.toBe(first);
    expect(first.state.phase).toBe("closed");
    expect(net.last.url).toBe("wss://b.example/ws");
  });

  it("hands pushes to the newest listener", async () => {
    await show(<Page prefix="old " />);
    await advance();
    const socket = await act(async () => net.last.welcome());
    await act(async () => socket.hear({ type: "push", s: 1 }, "1"));
    await show(<Page prefix="new " />);
    await act(async () => socket.hear({ type: "push", s: 2 }, "2"));
    expect(pushes).toEqual(["old 1", "new 2"]);
  });
});
