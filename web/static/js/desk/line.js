// Keeps the line of an agent at a browser up, and says how it is. It is up where both ends say so:
// what the browser has called the engine may not have seen yet, and gives no calls to.

import { ask, hurryUp } from "./api.js";
import { at, announce, config, say, show } from "./page.js";
import { Phone } from "./phone.js";

const LATER_MS = [500, 1000, 2000, 4000, 8000];
const TOLD_MS = 1000;  // why a line has ended may be told after its end
const MISSED = 2;  // heartbeats without a line at the other end, before it is called anew

export class Line {
  constructor() {
    this.phone = new Phone(() => this.lost());
    this.wanted = false;
    this.ringing = false;
    this.known = false;  // to the engine
    this.taken = false;  // by another page
    this.missed = 0;
    this.failed = 0;
    at("line-again").addEventListener("click", () => { this.taken = false; this.keep(); });
    addEventListener("online", () => { if (!this.taken) this.keep(); });
  }

  // ``sip``: of a log-in, for the first call; without it a fresh token is asked for.
  begin({ ringing, sip }) {
    this.wanted = config.browser && !ringing;
    this.ringing = config.browser && ringing;
    this.failed = 0;
    if (this.wanted) return this.keep(sip);
    this.tell(config.browser ? "line_rings" : "line_phone");
    return Promise.resolve();
  }

  end() {
    this.wanted = this.ringing = false;
    clearTimeout(this.later);
    this.phone.close();
    this.tell("line_off");
  }

  // Take a call that rings; the line is given up after it.
  async answer() {
    if (this.ringing && !this.phone.up) await this.dial();
  }

  release() {
    if (this.ringing) this.phone.hangUp();
  }

  async keep(sip) {
    clearTimeout(this.later);
    if (this.dialling || this.phone.up || !this.wanted) return;
    try {
      await this.dial(sip);
      this.failed = 0;
    } catch {
      if (!this.wanted) return;
      this.tell("line_again");
      const wait = LATER_MS[Math.min(this.failed++, LATER_MS.length - 1)];
      this.later = setTimeout(() => this.keep(), wait);
    }
  }

  async dial(sip) {
    this.dialling = true;
    this.known = this.taken = false;
    this.missed = 0;
    this.tell("line_dialling");
    try {
      sip ??= (await ask("POST", "/session/leg")).sip;
      if (!sip) throw new Error("this agent's telephone is called");
      await this.phone.call(sip);
    } finally {
      this.dialling = false;
    }
    this.shape();
  }

  lost() {
    if (!this.wanted) {
      this.tell(this.ringing ? "line_rings" : "line_off");
    } else if (this.taken) {
      this.tell("line_elsewhere");
    } else {
      this.tell("line_again");
      announce(say("line_again"));
      clearTimeout(this.later);
      this.later = setTimeout(() => this.keep(), TOLD_MS);
    }
  }

  // What the engine says of it.
  told(event) {
    if (!config.browser) this.tell(event.up ? "line_up" : "line_off");
    if (event.up && event.why === "replaced" && this.known && !this.dialling) {
      // Another page has the line: taking it back would go on for ever.
      this.taken = this.wanted;
      clearTimeout(this.later);
      if (!this.phone.up) this.lost();
    }
    this.known = event.up;
    this.shape();
    if (event.up) hurryUp();
  }

  // The same, as each heartbeat is answered: an event or a goodbye may have been lost.
  checked(leg) {
    this.missed = leg || !this.wanted || !this.phone.up ? 0 : this.missed + 1;
    if (leg && !this.known) this.told({ up: true });
    if (this.missed < MISSED || this.dialling) return;
    this.phone.forget();
    this.keep();
  }

  shape() {
    if (!config.browser || this.dialling || !this.phone.up) return;
    this.tell(this.known ? "line_up" : "line_dialling");
  }

  tell(what) {
    const badge = at("line");
    badge.textContent = say(what);
    badge.dataset.line = what;
    const good = what === "line_up";
    badge.className = `badge ${good ? "good" : what === "line_again" ? "warn" : "quiet"}`;
    show("line-again", what === "line_elsewhere");
  }
}
