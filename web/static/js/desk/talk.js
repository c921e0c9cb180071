// What is done within a call: hold, mute, keys, passing on, the recording, its end.

import { aside, post, Refused, tried } from "./api.js";
import { announce, at, config, nameOf, say, show, sure } from "./page.js";

const talk = { held: false, muted: false, silent: false, live: false, paying: false };
const CONTROLS = ["hold", "mute", "keys", "transfer", "record"];

export function clearTalk() {
  Object.assign(talk, { held: false, muted: false, silent: false, live: false, paying: false });
  show("third", false);
  shape();
}

// ``live``: debtor and agent hear each other, or could.
export function setLive(live) {
  talk.live = live;
  if (live) talk.held = false;
  if (!live) show("third", false);
  shape();
}

export function setPaying(paying) {
  talk.paying = paying;
  shape();
}

function shape() {
  show("controls", talk.live);
  toggle("hold", talk.held, "hold", "resume");
  toggle("mute", talk.muted, "mute", "unmute");
  toggle("record", talk.silent, "record_pause", "record_resume");
  for (const id of CONTROLS) at(id).disabled = talk.paying;
}

function toggle(id, pressed, off, on) {
  at(id).setAttribute("aria-pressed", String(pressed));
  at(id).textContent = say(pressed ? on : off);
}

// Does ``path`` and, where that was done, notes it.
async function change(path, name, value, said) {
  const done = await tried(async () => {
    try {
      return await post(path);
    } catch (error) {
      // The page was loaded anew and does not know: the debtor is on hold already.
      if (error instanceof Refused && path === "/call/hold" && error.code === "not_now") return {};
      throw error;
    }
  });
  if (!done) return;
  talk[name] = value;
  shape();
  announce(say(said));
}

at("hold").addEventListener("click", () => (talk.held
  ? change("/call/resume", "held", false, "joined") : change("/call/hold", "held", true, "held")));
at("mute").addEventListener("click", () => (talk.muted
  ? change("/call/unmute", "muted", false, "unmuted") : change("/call/mute", "muted", true, "muted")));
at("record").addEventListener("click", () => (talk.silent
  ? change("/call/recording/resume", "silent", false, "recorded")
  : change("/call/recording/pause", "silent", true, "not_recorded")));
at("hang-up").addEventListener("click", async () => {
  if (await sure(at("hang-up").textContent)) tried(() => post("/call/hang-up"));
});

at("keys").addEventListener("click", () => { at("keys-text").value = ""; at("keys-dialog").showModal(); });
at("keys-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const keys = at("keys-text").value;
  at("keys-text").value = "";
  at("keys-dialog").close();
  if (await tried(() => post("/call/dtmf", { keys }))) announce(say("keys_sent"));
});

// --- passing on ---------------------------------------------------------------------------------

at("transfer").addEventListener("click", async () => {
  at("transfer-fault").textContent = "";
  at("transfer-dialog").showModal();
  const found = await tried(() => aside("/colleagues"));
  if (!found) return;
  const { agents, skills } = found;
  fill("to-agent", agents.map((one) => [one.id, `${one.name} · ${nameOf("state", one.state)}`]), "no_colleague");
  fill("to-skill", skills.map((one) => [one, one]), "no_skill");
});

function fill(id, options, none) {
  const made = options.map(([value, text]) => new Option(text, value));
  at(id).replaceChildren(...(made.length ? made : [new Option(say(none), "")]));
}

function chosen(name) {
  return at("transfer-form").elements[name].value;
}

// A number is asked first, a skill never is: what does not go cannot be chosen.
at("transfer-form").addEventListener("change", () => {
  const to = chosen("to");
  for (const radio of at("transfer-form").elements.how) {
    const isBlind = radio.value === "blind";
    radio.disabled = (to === "number" && isBlind) || (to === "skill" && !isBlind);
    if (radio.disabled && radio.checked) {
      radio.checked = false;
      [...at("transfer-form").elements.how].find((one) => one.value === (isBlind ? "attended" : "blind")).checked = true;
    }
  }
});
for (const kind of ["agent", "skill", "number"]) {
  at(`to-${kind}`).addEventListener("input", () => {
    const radio = [...at("transfer-form").elements.to].find((one) => one.value === kind);
    radio.checked = true;
    at("transfer-form").dispatchEvent(new Event("change"));
  });
}

at("transfer-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const to = chosen("to");
  const value = at(`to-${to}`).value;
  const fault = (text) => { at("transfer-fault").textContent = text; };
  if (!value) { fault(config.refusals.nobody); return; }
  const target = { [to]: to === "agent" ? Number(value) : value };
  const kind = chosen("how");
  if (await tried(() => post("/call/transfer", { to: target, kind }), fault)) at("transfer-dialog").close();
});

at("third-complete").addEventListener("click", () => tried(() => post("/call/transfer/complete")));
at("third-cancel").addEventListener("click", () => tried(() => post("/call/transfer/cancel")));

export function transferTold(event) {
  if (event.state === "consulted") {
    show("incoming");
    at("incoming-said").textContent = say("consulted", event);
    return;
  }
  const calling = event.state === "calling";
  at("third-said").textContent = say(`transfer_${event.state}`);
  show("third", calling);
  if (!calling) announce(say(`transfer_${event.state}`));
}
