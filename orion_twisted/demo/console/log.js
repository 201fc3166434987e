// The table of messages with their outcomes, and the figures above it.

/** Messages kept and shown. */
const MOST_ROWS = 100;
/** Characters of one message shown in full. */
const MOST_SHOWN = 20_000;

const WORDS = {
  ok: "ok",
  refused: "refused",
  waiting: "waiting",
  timeout: "timed out",
  unknown: "unknown outcome",
  unsent: "not sent",
  stray: "no request",
};

const byId = (id) => document.getElementById(id);

export const milliseconds = (time) => (time < 10 ? time.toFixed(1) : String(Math.round(time)));

/** {count, min, median, max} of some times; the last three are null for none. */
export function figures(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const count = sorted.length;
  if (count === 0) return { count, min: null, median: null, max: null };
  const half = count >> 1;
  const median = count % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  return { count, min: sorted[0], median, max: sorted[count - 1] };
}

export class MessageLog {
  #entries = []; // newest first
  #shown = null;

  /** Add a message that is on its way; end() is to be called with its outcome. */
  begin(body) {
    const entry = { body, id: "", word: "waiting", time: null, answer: null, row: null };
    this.#add(entry, typeof body.cmd === "string" ? body.cmd : "(no cmd)");
    return {
      end: ({ id, outcome, answer, time }) => {
        entry.id = id;
        entry.answer = answer;
        entry.time = time;
        entry.word = outcome === "answer" ? (answer.success === true ? "ok" : "refused") : outcome;
        this.#fill(entry);
      },
    };
  }

  /** Add an answer that belongs to no request, as one that comes after its time. */
  stray(answer) {
    const id = answer?.msgID ?? "";
    this.#add({ body: null, id, word: "stray", time: null, answer, row: null }, answer?.event ?? "(answer)");
  }

  clear() {
    this.#entries = this.#entries.filter((entry) => entry.word === "waiting");
    byId("log").replaceChildren(...this.#entries.map((entry) => entry.row));
    byId("detail").hidden = true;
    this.#shown = null;
    this.#sum();
  }

  #add(entry, name) {
    const row = document.createElement("tr");
    const cells = ["id", "name", "outcome", "number"].map((kind) => {
      const cell = row.insertCell();
      cell.className = kind;
      return cell;
    });
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link";
    button.textContent = name;
    button.addEventListener("click", () => this.#show(entry));
    cells[1].append(button);
    entry.row = row;
    this.#entries.unshift(entry);
    byId("log").prepend(row);
    for (const old of this.#entries.splice(MOST_ROWS)) old.row.remove();
    this.#fill(entry);
  }

  #fill(entry) {
    const [id, , outcome, time] = entry.row.cells;
    id.textContent = entry.id;
    const chip = document.createElement("span");
    chip.className = `chip ${entry.word}`;
    chip.textContent = WORDS[entry.word];
    outcome.replaceChildren(chip);
    outcome.title = entry.answer?.message ?? "";
    time.textContent = entry.time === null ? "–" : milliseconds(entry.time);
    if (entry === this.#shown) this.#show(entry);
    this.#sum();
  }

  #show(entry) {
    this.#shown = entry;
    for (const each of this.#entries) each.row.classList.toggle("shown", each === entry);
    const pretty = (value) => {
      if (value === null) return "";
      const text = typeof value === "string" ? value : JSON.stringify(value, null, 1);
      return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}\n… ${text.length} characters` : text;
    };
    byId("detail").hidden = false;
    byId("detail-title").textContent = `Message ${entry.id} · ${WORDS[entry.word]}`;
    byId("detail-sent").textContent = pretty(entry.body);
    byId("detail-sent").hidden = entry.body === null;
    byId("detail-received").textContent = pretty(entry.answer);
    byId("detail-received").hidden = entry.answer === null;
  }

  #sum() {
    const times = this.#entries.map((entry) => entry.time).filter((time) => time !== null);
    const { count, ...rest } = figures(times);
    byId("figure-count").textContent = count;
    for (const [name, time] of Object.entries(rest)) {
      byId(`figure-${name}`).textContent = time === null ? "–" : `${milliseconds(time)} ms`;
    }
    byId("log-empty").hidden = this.#entries.length > 0;
  }
}
