// One WebSocket at a time, opened again when it breaks, and the requests on it.
// Times are milliseconds. A request ends in exactly one outcome and is never sent twice.

export const REQUEST_TIMEOUT = 10_000;
export const CONNECT_TIMEOUT = 10_000;
/** The wait before try n is anywhere from 0 to FIRST_WAIT * 2^n, at most MOST_WAIT. */
export const FIRST_WAIT = 500;
export const MOST_WAIT = 20_000;
/** A connection that has lived this long has proved itself: the next wait is short again. */
export const PROVED_AFTER = 5_000;
/** Requests without an outcome at one time. */
export const MOST_REQUESTS = 200;

const FINAL = new Set([1000, 1002, 1003, 1007, 1008, 1009]);

/** Whether the gateway's close code asks to come back. */
export const mayReconnect = (code) => !FINAL.has(code) && !(code >= 4500 && code <= 4999);

/** Full jitter: a wait anywhere from 0 to the ceiling, so that a thousand browsers spread out. */
export const waitBefore = (attempt, random = Math.random) =>
  random() * Math.min(MOST_WAIT, FIRST_WAIT * 2 ** Math.min(attempt, 30));

/**
 * State, given to onState: {name, reason, retryAt}, where name is "connecting", "online",
 * "reconnecting" (until retryAt, by now()) or "offline".
 *
 * Outcome, of a request: {id, outcome, answer, time}, where outcome is "answer", "timeout"
 * (no answer in REQUEST_TIMEOUT), "unknown" (the connection broke: it may have been carried out
 * or not) or "unsent" (there was no connection).
 */
export class Connection {
  #url;
  #onState;
  #onStray;
  #world;
  #socket = null;
  #generation = 0;
  #attempt = 0;
  #lastId = 0;
  #pending = new Map();
  #timer = null;
  #provedTimer = null;

  constructor(url, { onState, onStray = () => {}, world = {} }) {
    this.#url = url;
    this.#onState = onState;
    this.#onStray = onStray;
    this.#world = {
      open: (address) => new WebSocket(address),
      random: Math.random,
      now: () => performance.now(),
      setTimeout: (call, wait) => setTimeout(call, wait),
      clearTimeout: (timer) => clearTimeout(timer),
      ...world,
    };
  }

  get online() {
    return this.#socket !== null && this.#socket.readyState === 1;
  }

  start() {
    this.#stopTimers();
    this.#attempt = 0;
    this.#open("connecting");
  }

  /** Close for good, until start(). */
  stop(reason = "disconnected by you") {
    this.#stopTimers();
    this.#letGo()?.close(1000);
    this.#onState({ name: "offline", reason });
  }

  /** The network is back, or somebody looks again: do not wait any longer. */
  retryNow() {
    if (this.#socket === null && this.#timer !== null) {
      this.#stopTimers();
      this.#open("connecting");
    }
  }

  /** Send one message; the promise is of its outcome and never rejects. */
  request(body) {
    const id = ++this.#lastId;
    if (!this.online || this.#pending.size >= MOST_REQUESTS) {
      return Promise.resolve({ id, outcome: "unsent", answer: null, time: null });
    }
    return new Promise((resolve) => {
      const sent = this.#world.now();
      const end = (outcome, answer = null) => {
        this.#world.clearTimeout(timer);
        this.#pending.delete(id);
        const time = outcome === "answer" ? this.#world.now() - sent : null;
        resolve({ id, outcome, answer, time });
      };
      const timer = this.#world.setTimeout(() => end("timeout"), REQUEST_TIMEOUT);
      this.#pending.set(id, end);
      this.#socket.send(JSON.stringify({ ...body, "@MSGID": id }));
    });
  }

  #open(name) {
    const generation = ++this.#generation;
    const mine = () => generation === this.#generation;
    this.#onState({ name });
    let socket;
    try {
      socket = this.#world.open(this.#url);
    } catch (error) {
      this.#onState({ name: "offline", reason: error.message });
      return;
    }
    this.#socket = socket;
    this.#timer = this.#world.setTimeout(() => {
      this.#timer = null;
      this.#letGo()?.close();
      this.#reconnect("no connection in time");
    }, CONNECT_TIMEOUT);
    socket.onopen = () => {
      if (!mine()) return;
      this.#stopTimers();
      this.#provedTimer = this.#world.setTimeout(() => (this.#attempt = 0), PROVED_AFTER);
      this.#onState({ name: "online" });
    };
    socket.onmessage = (event) => mine() && this.#receive(event.data);
    socket.onclose = (event) => {
      if (!mine()) return;
      this.#stopTimers();
      this.#letGo();
      const reason = event.reason || (event.code === 1006 ? "connection lost" : `closed with ${event.code}`);
      if (mayReconnect(event.code)) this.#reconnect(reason);
      else this.#onState({ name: "offline", reason });
    };
  }

  #reconnect(reason) {
    const wait = waitBefore(this.#attempt++, this.#world.random);
    this.#timer = this.#world.setTimeout(() => {
      this.#timer = null;
      this.#open("connecting");
    }, wait);
    this.#onState({ name: "reconnecting", reason, wait, retryAt: this.#world.now() + wait });
  }

  #receive(data) {
    let answer = null;
    try {
      answer = JSON.parse(data);
    } catch {
      // Falls through: what is no JSON is a stray, shown as it came.
    }
    const end = this.#pending.get(answer?.msgID);
    if (end === undefined) {
      this.#onStray(answer ?? String(data));
      return;
    }
    this.#attempt = 0;
    end("answer", answer);
  }

  /** Forget the socket; what is outstanding on it has no outcome that anybody could know. */
  #letGo() {
    const socket = this.#socket;
    this.#socket = null;
    this.#generation += 1;
    for (const end of [...this.#pending.values()]) end("unknown");
    return socket;
  }

  #stopTimers() {
    this.#world.clearTimeout(this.#timer);
    this.#world.clearTimeout(this.#provedTimer);
    this.#timer = this.#provedTimer = null;
  }
}
