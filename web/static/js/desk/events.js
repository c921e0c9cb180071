// What the engine tells this desk, over broken connections. Read with fetch: EventSource keeps
// comments to itself, and they are how a page knows that the silence is not a dead connection.

import { config } from "./page.js";

const SILENT_MS = 25_000;
const LATER_MS = [500, 1000, 2000, 4000, 8000];

export class Events {
  // ``heard``: each event, with its id; ``lost`` and ``back``: of the connection; ``over``: the
  // stream has ended, with the status where it was refused.
  constructor({ heard, lost, back, over }) {
    this.on = { heard, lost, back, over };
    this.last = null;
    this.running = null;
    this.hurry = () => {};
    addEventListener("online", () => this.renew());
  }

  start(after) {
    this.stop();
    this.last = after;
    this.running = new AbortController();
    this.follow(this.running).catch((error) => { throw error; });
  }

  stop() {
    this.running?.abort();
    this.running = null;
  }

  // The network was away: what was connected before may be dead without knowing.
  renew() {
    this.connection?.abort();
    this.hurry();
  }

  async follow(running) {
    let failed = 0;
    while (!running.signal.aborted) {
      const ended = await this.listen(running, () => {
        if (failed) this.on.back();
        failed = 0;
      });
      if (running.signal.aborted) return;
      if (ended !== null) {
        this.stop();
        this.on.over(ended);
        return;
      }
      if (failed === 0) this.on.lost();
      const wait = LATER_MS[Math.min(failed++, LATER_MS.length - 1)];
      await new Promise((done) => { this.hurry = done; setTimeout(done, wait); });
    }
  }

  // One connection. Null where it broke; else why there is no use in another.
  async listen(running, opened) {
    const one = this.connection = new AbortController();
    const stop = () => one.abort();
    running.signal.addEventListener("abort", stop);
    let silence = setTimeout(stop, SILENT_MS);
    try {
      const path = `${config.api}/session/events?after=${encodeURIComponent(this.last)}`;
      const answer = await fetch(path, {
        headers: { Accept: "text/event-stream", "Last-Event-ID": this.last },
        redirect: "manual", cache: "no-store", signal: one.signal,
      });
      if ([401, 403, 404].includes(answer.status)) return answer.status;
      if (!answer.ok) return null;
      opened();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return null;
        clearTimeout(silence);
        silence = setTimeout(stop, SILENT_MS);
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) if (this.tell(block)) return 0;
      }
    } catch {
      return null;
    } finally {
      clearTimeout(silence);
      running.signal.removeEventListener("abort", stop);
      one.abort();
    }
  }

  // Whether that was the end.
  tell(block) {
    const fields = {};
    for (const line of block.split("\n")) {
      const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
      if (name) fields[name] = value;
    }
    if (!fields.data) return false;
    if (fields.id) this.last = fields.id;
    const event = JSON.parse(fields.data);
    if (event.type === "end") return true;
    this.on.heard({ ...event, id: fields.id ?? null });
    return false;
  }
}

// Whether an event came after another, by their ids (milliseconds-number).
export function isNews(id, after) {
  if (!id || !after || after === "0") return true;
  const [ms, number] = id.split("-").map(Number);
  const [lastMs, lastNumber = 0] = after.split("-").map(Number);
  return ms > lastMs || (ms === lastMs && number > lastNumber);
}
