// The agent's own state: ready or not, since when, and the clocks of the page.

import { post, tried } from "./api.js";
import { announce, at, clock, nameOf, say, show } from "./page.js";
import { forgetReady } from "./ready.js";

const KINDS = { available: "good", talking: "", reserved: "", wrap_up: "warn", paused: "warn" };

export const seat = { state: null, since: 0 };

// How far this computer's clock is ahead of the engine's.
let ahead = 0;
const clocks = new Map();

export function setClock(at_) {
  const off = Date.now() - Date.parse(at_);
  ahead = Math.abs(off) > 2000 ? off : 0;
}

export const engineNow = () => Date.now() - ahead;

// ``id`` shows how long it is since (or until) a moment; null: nothing.
export function run(id, tell) {
  if (tell) clocks.set(id, tell);
  else clocks.delete(id);
  tick();
}

function tick() {
  for (const tell of [...clocks.values()]) tell(engineNow());
}

setInterval(tick, 500);

export function showState(event, fresh) {
  const changed = seat.state !== event.state;
  seat.state = event.state;
  seat.since = Date.parse(event.since);
  const badge = at("state");
  badge.textContent = nameOf("state", event.state);
  badge.className = `badge ${KINDS[event.state] ?? "quiet"}`;
  badge.dataset.state = event.state;
  const code = event.pause_code;
  const later = code && event.state !== "paused";
  at("state-more").textContent = !code ? "" : later
    ? say("pause_next", { pause: nameOf("pause", code) }) : nameOf("pause", code);
  at("ready").disabled = event.state === "available";
  run("since", (now) => { at("since").textContent = clock((now - seat.since) / 1000); });
  if (changed && fresh) announce(say("state", { state: badge.textContent }));
}

export function clearSeat() {
  forgetReady();
  seat.state = null;
  clocks.clear();
  show("work", false);
}

at("pause").addEventListener("click", async () => {
  const code = at("pause-code").value;
  if (await tried(() => post("/session/pause", { code }))) {
    at("state-more").textContent = seat.state === "paused" ? nameOf("pause", code)
      : say("pause_next", { pause: nameOf("pause", code) });
  }
});
