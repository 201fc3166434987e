// The console's modules without a browser. test_console.py runs this with Node, in a folder
// where the console's files lie beside it.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  CONNECT_TIMEOUT, Connection, FIRST_WAIT, MOST_REQUESTS, MOST_WAIT, PROVED_AFTER, REQUEST_TIMEOUT,
  mayReconnect, waitBefore,
} from "./connection.js";
import { draw, hits } from "./drawing.js";
import { figures } from "./log.js";

/** A world of its own: sockets that do what the test says, and a clock that it moves. */
class World {
  now = 0;
  timers = new Map();
  sockets = [];
  states = [];
  strays = [];
  random = 1;

  constructor() {
    this.connection = new Connection("wss://test/ws", {
      onState: (state) => this.states.push(state),
      onStray: (answer) => this.strays.push(answer),
      world: {
        open: () => {
          const socket = { readyState: 0, sent: [], closed: null };
          socket.send = (data) => socket.sent.push(JSON.parse(data));
          socket.close = (code) => (socket.closed = code ?? true);
          this.sockets.push(socket);
          return socket;
        },
        random: () => this.random,
        now: () => this.now,
        setTimeout: (call, wait) => {
          const timer = Symbol("timer");
          this.timers.set(timer, { call, at: this.now + wait });
          return timer;
        },
        clearTimeout: (timer) => this.timers.delete(timer),
      },
    });
    this.connection.start();
  }

  get socket() { return this.sockets.at(-1); }
  get state() { return this.states.at(-1); }

  accept() {
    this.socket.readyState = 1;
    this.socket.onopen();
  }

  breakOff(code = 1006, reason = "") {
    this.socket.readyState = 3;
    this.socket.onclose({ code, reason });
  }

  answer(message) {
    this.socket.onmessage({ data: JSON.stringify(message) });
  }

  advance(time) {
    const end = this.now + time;
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.at <= end);
      if (due.length === 0) break;
      due.sort(([, a], [, b]) => a.at - b.at);
      const [key, timer] = due[0];
      this.timers.delete(key);
      this.now = timer.at;
      timer.call();
    }
    this.now = end;
  }
}

test("a request gets its own answer, in whatever order they come", async () => {
  const world = new World();
  world.accept();
  const first = world.connection.request({ cmd: "hello" });
  const second = world.connection.request({ cmd: "documents", "@MSGID": 99 });
  assert.deepEqual(world.socket.sent, [{ cmd: "hello", "@MSGID": 1 }, { cmd: "documents", "@MSGID": 2 }]);
  world.advance(7);
  world.answer({ msgID: 2, success: true });
  world.advance(5);
  world.answer({ msgID: 1, success: false });
  assert.deepEqual(await first, { id: 1, outcome: "answer", answer: { msgID: 1, success: false }, time: 12 });
  assert.equal((await second).time, 7);
});

test("no answer in ten seconds is a timeout, and a late answer is a stray", async () => {
  const world = new World();
  world.accept();
  const request = world.connection.request({ cmd: "hello" });
  world.advance(REQUEST_TIMEOUT);
  assert.equal((await request).outcome, "timeout");
  assert.equal(REQUEST_TIMEOUT, 10_000);
  world.answer({ msgID: 1, success: true });
  world.socket.onmessage({ data: "no JSON" });
  assert.deepEqual(world.strays, [{ msgID: 1, success: true }, "no JSON"]);
});

test("what is outstanding at a break has an unknown outcome and is not sent again", async () => {
  const world = new World();
  world.accept();
  const request = world.connection.request({ cmd: "save" });
  world.breakOff();
  assert.equal((await request).outcome, "unknown");
  assert.equal((await world.connection.request({ cmd: "hello" })).outcome, "unsent");
  world.advance(MOST_WAIT);
  world.accept();
  assert.deepEqual(world.socket.sent, []);
  assert.equal(world.connection.online, true);
});

test("requests without an outcome are bounded", async () => {
  const world = new World();
  world.accept();
  for (let count = 0; count < MOST_REQUESTS; count += 1) world.connection.request({ cmd: "hello" });
  assert.equal((await world.connection.request({ cmd: "hello" })).outcome, "unsent");
});

test("waits grow to the ceiling, with full jitter, and the state tells them", () => {
  const world = new World();
  const waits = [];
  for (let count = 0; count < 9; count += 1) {
    world.breakOff();
    assert.equal(world.state.name, "reconnecting");
    assert.equal(world.state.retryAt, world.now + world.state.wait);
    waits.push(world.state.wait);
    world.advance(world.state.wait);
    assert.equal(world.state.name, "connecting");
  }
  assert.deepEqual(waits.slice(0, 3), [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]);
  assert.equal(waits.at(-1), MOST_WAIT);
  assert.equal(waitBefore(3, () => 0), 0);
  assert.equal(waitBefore(2000, () => 0.5), MOST_WAIT / 2);
});

test("the wait is short again once a connection has proved itself, not before", () => {
  const world = new World();
  const fail = () => {
    world.breakOff();
    const { wait } = world.state;
    world.advance(wait);
    return wait;
  };
  fail();
  world.accept();
  assert.equal(fail(), 2 * FIRST_WAIT);
  world.accept();
  world.advance(PROVED_AFTER);
  assert.equal(fail(), FIRST_WAIT);
  world.accept();
  world.connection.request({ cmd: "hello" });
  world.answer({ msgID: 1 });
  assert.equal(fail(), FIRST_WAIT);
});

test("a final close code ends it, with its reason, until somebody connects again", () => {
  const world = new World();
  world.accept();
  world.breakOff(4500, "BAD_MESSAGE");
  assert.deepEqual(world.state, { name: "offline", reason: "BAD_MESSAGE" });
  assert.equal(world.timers.size, 0);
  world.connection.start();
  world.accept();
  assert.equal(world.state.name, "online");
  for (const code of [1001, 1006, 1011, 1012, 1013, 4000, 4014, 4499]) assert.ok(mayReconnect(code), code);
  for (const code of [1000, 1002, 1003, 1007, 1008, 1009, 4500, 4999]) assert.ok(!mayReconnect(code), code);
});

test("disconnecting closes with 1000, and nothing of the old socket counts any more", async () => {
  const world = new World();
  world.accept();
  const request = world.connection.request({ cmd: "hello" });
  const old = world.socket;
  world.connection.stop();
  assert.equal(old.closed, 1000);
  assert.equal((await request).outcome, "unknown");
  assert.equal(world.state.name, "offline");
  old.onmessage({ data: '{"msgID":1}' });
  old.onclose({ code: 1006, reason: "" });
  assert.equal(world.state.name, "offline");
  assert.equal(world.timers.size, 0);
});

test("a socket that does not open in time is given up", () => {
  const world = new World();
  const old = world.socket;
  world.advance(CONNECT_TIMEOUT);
  assert.equal(old.closed, true);
  assert.equal(world.state.name, "reconnecting");
  old.readyState = 1;
  old.onopen();
  assert.equal(world.connection.online, false);
});

test("when the network is back there is no more waiting, and never two sockets", () => {
  const world = new World();
  world.connection.retryNow();
  assert.equal(world.sockets.length, 1);
  world.breakOff();
  world.connection.retryNow();
  assert.equal(world.sockets.length, 2);
  world.accept();
  world.connection.retryNow();
  world.advance(MOST_WAIT);
  assert.equal(world.sockets.length, 2);
});

test("only drawing names are carried out, and a moved object is drawn where it is", () => {
  const calls = [];
  const context = new Proxy({}, {
    get: (_, name) => (...values) => calls.push([name, ...values]),
    set: (_, name, value) => calls.push([name, value]),
  });
  const commands = [["fillStyle", "#fff"], ["save"], ["clip", "x"], ["constructor"], ["restore"], ["canvas", 1], ["drawImage", "id", 1, 2, 3, 4]];
  draw(context, commands, [[1, 4, 5, 6]]);
  const shifted = [["save"], ["translate", 5, 6], ["save"], ["restore"], ["restore"]];
  assert.deepEqual(calls, [["fillStyle", "#fff"], ...shifted, ["strokeRect", 1, 2, 3, 4]]);
});

test("a point is found on a turned, thin or backwards object", () => {
  const box = { x: 0, y: 0, width: 100, height: 10, rotation: 0 };
  assert.ok(hits(box, 99, 9, 2));
  assert.ok(!hits(box, 99, 13, 2));
  assert.ok(hits({ ...box, rotation: 90 }, 50, 50, 2));
  assert.ok(!hits({ ...box, rotation: 90 }, 90, 5, 2));
  assert.ok(hits({ ...box, width: -100, height: 0 }, -50, 1, 2));
});

test("the figures are those of the answers there were", () => {
  assert.deepEqual(figures([]), { count: 0, min: null, median: null, max: null });
  assert.deepEqual(figures([5, 1, 3]), { count: 3, min: 1, median: 3, max: 5 });
  assert.deepEqual(figures([4, 1, 3, 20]), { count: 4, min: 1, median: 3.5, max: 20 });
});
