import type { State } from "@orion-bridge/client";
import { describe, expect, it } from "vitest";
import { numberOf, readAddress, shopsOf } from "../../src/connection/start";
import { badgeOf, type Standing } from "../../src/connection/words";
import { en } from "../../src/text/en";
import { ko } from "../../src/text/ko";
import { languageOf, say } from "../../src/text/texts";

const link = (more: Partial<State>): State => ({
  phase: "online",
  waiting: 0,
  waitingBytes: 0,
  attempt: 0,
  ...more,
});
const words = (state: State, waiting: number, more: Partial<Standing> = {}) => {
  const standing = { waiting, sending: waiting, silentFor: 0, doubted: false, ...more };
  const { said, canRetry } = badgeOf(state, standing, 10_000);
  return [say("en", said.key, said.values), canRetry];
};

describe("the badge", () => {
  it("tells the truth of the link, and of what waits", () => {
    expect(words(link({}), 0)).toEqual(["Connected", false]);
    expect(words(link({}), 2)).toEqual(["Sending 2 changes", false]);
    expect(words(link({}), 3, { sending: 2, silentFor: 2_999 })).toEqual([
      "Sending 2 changes",
      false,
    ]);
    expect(words(link({}), 3, { sending: 2, silentFor: 4_900 })).toEqual([
      "No answer for 4 s · 3 changes wait",
      true,
    ]);
    expect(words(link({}), 0, { silentFor: 3_000 })).toEqual(["No answer for 3 s", true]);
    expect(words(link({}), 1, { doubted: true })).toEqual(["Offline · 1 change waits", true]);
    const waiting = link({ phase: "waiting", retryAt: 14_200 });
    expect(words(waiting, 0)).toEqual(["Reconnecting in 5 s", true]);
    expect(words(waiting, 1)).toEqual(["Reconnecting in 5 s · 1 change waits", true]);
    expect(words(link({ phase: "offline" }), 0)).toEqual(["Offline", true]);
    expect(words(link({ phase: "offline" }), 3)).toEqual(["Offline · 3 changes wait", true]);
    expect(words(link({ phase: "closed", code: 4510 }), 0)).toEqual([
      "Opened in another window",
      true,
    ]);
    expect(words(link({ phase: "closed", code: 4508 }), 0)[0]).toMatch(/token/);
  });
});

describe("where we are", () => {
  it("takes the shop that loaded us where a pattern allows it, and no other", () => {
    const allowed = ["https://shop.example", "https://*.mall.example"];
    expect(shopsOf(allowed, "https://a.mall.example/p?q")).toEqual([
      "https://shop.example",
      "https://a.mall.example",
    ]);
    for (const stranger of [
      "https://evil.example/",
      "https://mall.example/",
      "https://evilmall.example/",
      "http://a.mall.example/",
      "https://a.mall.example.evil.example/",
      "https://a.mall.example:8443/",
      "",
    ])
      expect(shopsOf(allowed, stranger)).toEqual(["https://shop.example"]);
  });

  it("reads the token and the document behind the hash", () => {
    expect(readAddress("#token=a.b.c&document=3")).toEqual({ token: "a.b.c", document: 3 });
    expect(readAddress("")).toEqual({ token: null, document: null });
    expect(numberOf("7x")).toBeNull();
  });
});

describe("languages", () => {
  it("have the same gaps", () => {
    const gaps = (text: string) => [...new Set(text.match(/\{\w+\}/g))].sort().join();
    for (const key of Object.keys(en) as (keyof typeof en)[])
      if (!["closed", "reconnecting"].includes(key))
        expect(gaps(ko[key]), key).toBe(gaps(en[key]));
  });
  it("are chosen by what is wished for", () => {
    expect(languageOf([undefined, "ko-KR", "en"])).toBe("ko");
    expect(languageOf(["fr"])).toBe("en");
  });
});
