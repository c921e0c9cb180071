// The desk: puts the parts together, and moves them as the engine tells.

import { actAs, ask, aside, insist, post, Refused, tried } from "./api.js";
import { allowPay, clearPay, payTold } from "./pay.js";
import { announce, at, clock, config, logIn, make, nameOf, say, show, sure, trouble } from "./page.js";
import { clearConclude, concludedBefore, setWrap, unsaved, wrappingUp } from "./conclude.js";
import { clearSeat, engineNow, run, seat, setClock, showState } from "./seat.js";
import { clearStory, showScript, showStory } from "./story.js";
import { clearTalk, setLive, transferTold } from "./talk.js";
import { Events, isNews } from "./events.js";
import { keepWishes, listMicrophones } from "./meter.js";
import { Line } from "./line.js";
import { loadAgreed } from "./calendar.js";
import { meter } from "./sit.js";
import { mayNotify, quiet, ring } from "./ringing.js";
import "./keyboard.js";

const RINGING = "desk-ringing";
const BEFORE_MS = 300;
const LOOK_MS = 2000;
const IN_TALK = ["talking", "wrap_up"];
const BUSY = ["reserved", "talking", "wrap_up"];  // with somebody

const line = new Line();
const beating = new Worker(new URL("./beat.js", import.meta.url));
const events = new Events({
  heard,
  lost: () => trouble(say("reconnecting")),
  back: () => { trouble(""); announce(say("reconnected")); },
  over: (status) => leave(status),
});

// The debtor at the desk: {attempt, kind, joined, over}. attempt null: only to be looked at, or (placed)
// called and not there yet.
let call = null;
let looking = null;
let known = null;  // id of the last event before this page knew how things were
let gapExpected = false;

// --- sitting down -------------------------------------------------------------------------------

async function begin() {
  try {
    await resume(await ask("GET", "/session"));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.code === "no_session") sit();
    else if (error.signedOut) signedOut();
    else { trouble(error.words); setTimeout(begin, 3000); }
  }
}

function sit() {
  actAs(null);
  show("sit");
  show("work", false);
  listMicrophones().catch(() => {});
}

function signedOut() {
  sit();
  trouble(say("log_in_again"));
  at("trouble").append(" ", make("a", { href: logIn, text: "→" }));
}

at("sit-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = at("sit-form");
  const skills = [...form.querySelectorAll("[name=skill]:checked")].map((one) => one.value);
  const ringing = form.elements.ringing.checked;
  const wish = form.querySelector("[name=skill]") ? { ringing, skills } : { ringing };
  if (ringing && config.browser) mayNotify();
  const told = await sitDown(wish);
  if (!told) return;
  if (config.browser) keepWishes();
  localStorage.setItem(RINGING, String(ringing));
  meter.stop();
  work(told.session, "0");
  line.begin({ ringing, sip: told.sip });
});

// Until the telephone system takes it: there may be none for a moment. Null where it is refused.
async function sitDown(wish) {
  const button = at("sit-down");
  button.disabled = true;
  const told = await tried(() => insist(() => post("/session", wish), () => true, (error) => trouble(error.words)));
  button.disabled = false;
  return told;
}

// A page that was loaded anew: back to where things are.
async function resume(now) {
  const current = BUSY.includes(now.state) ? now.call : null;
  // From the call's beginning on: what was said of a payment, or of a third, is told again.
  gapExpected = current !== null;
  const since = current && Date.parse(current.offered_at ?? current.queued_at) - BEFORE_MS;
  known = now.last_event ?? "0";
  const ringing = (localStorage.getItem(RINGING) ?? String(now.agent.ringing)) === "true";
  await listMicrophones().catch(() => {});
  work(now.session, current ? `${since}-0` : known);
  showNow(now);
  await line.begin({ ringing });
  if (ringing && current && !current.left_at) answer();
}

function work(session, after) {
  actAs(session);
  known ??= after;
  show("sit", false);
  show("work");
  trouble("");
  events.start(after);
  beating.postMessage(config.beat);
  if (!call) clearCall();
  loadAside();
}

// How things are, as GET /session says it.
function showNow(now) {
  showState(now, false);
  const current = BUSY.includes(now.state) ? now.call : null;
  if (!current) {
    if (call?.attempt) clearCall();
    return;
  }
  if (call?.attempt !== current.attempt) openCall(current, false);
  if (current.joined_at && !current.left_at) joined(Date.parse(current.joined_at));
  if (current.left_at) left(false);
  concludedBefore(current);
  loadTerms(current.attempt);
  tried(async () => showStory(await ask("GET", "/call/story")), () => {});
}

addEventListener("offline", () => { if (seat.state) trouble(say("reconnecting")); });

let apart = 0;  // heartbeats after which the engine said another state than is shown

beating.onmessage = async () => {
  try {
    const { state, leg } = await post("/session/heartbeat");
    line.checked(leg);
    apart = !state || state === seat.state ? 0 : apart + 1;
    if (apart > 1) { apart = 0; askHowItIs(); }  // an event was lost
  } catch (error) {
    if (error instanceof Refused && error.signedOut) { leave(401); signedOut(); }
  }
};

function leave(status) {
  events.stop();
  beating.postMessage(0);
  line.end();
  quiet();
  clearCall();
  clearSeat();
  known = null;
  sit();
  if (status === 401) signedOut();
  else trouble(say("ended"));
}

at("log-off").addEventListener("click", async () => {
  if (!(await sure(at("log-off").textContent))) return;
  if (await tried(() => ask("DELETE", "/session"))) leave(0);
});

// --- what the engine tells ----------------------------------------------------------------------

function heard(event) {
  const fresh = isNews(event.id, known);
  if (fresh) setClock(event.at);
  const ours = call !== null && event.attempt === call.attempt;
  switch (event.type) {
    case "state": stateTold(event, fresh); break;
    case "call": if (fresh || !ours) openCall(event, fresh); break;  // else told again
    case "story": if (ours) storyTold(event.story, fresh); break;
    case "joined": if (ours) joined(Date.parse(event.at), fresh); break;
    case "left": if (ours) left(fresh); break;
    case "payment": if (ours) payTold(event, fresh); break;
    case "preview": previewTold(event); break;
    case "leg": if (fresh) line.told(event); break;
    case "transfer": if (fresh || call) transferTold(event); break;
    case "error": trouble(say("engine_error", { why: event.why ?? event.error ?? "" })); break;
    case "gap": gapTold(); break;
    default: // a type of another version
  }
}

// Events are missing: how it is now is asked. One is expected where no event had the id asked from.
function gapTold() {
  if (gapExpected) gapExpected = false;
  else askHowItIs();
}

const askHowItIs = () => ask("GET", "/session").then(showNow, () => {});

function stateTold(event, fresh) {
  showState(event, fresh);
  if (event.state === "logged_out") return;  // the end of the stream follows
  if (event.state === "wrap_up") wrappingUp(fresh);
  setWrap(null);
  const busy = BUSY.includes(event.state);
  if (inTalk() ? !busy : IN_TALK.includes(event.state)) lookAgain();
  else if (!busy && (call?.attempt || call?.placed)) { clearCall(); loadAside(); }
}

const inTalk = () => Boolean(call?.joined && !call.over);

// A talk of which no end was told, or no beginning: an engine has died, and the next one looks who is
// there. What was typed stays until it has.
function lookAgain() {
  clearTimeout(looking);
  looking = setTimeout(() => {
    if (IN_TALK.includes(seat.state) ? !call?.attempt : inTalk()) askHowItIs();
  }, LOOK_MS);
}

function openCall(event, fresh) {
  clearCall();
  call = { attempt: event.attempt, kind: event.kind };
  show("idle", false);
  show("talk");
  at("kind").textContent = [nameOf("kind", event.kind), event.skill].filter(Boolean).join(" · ");
  at("talk-state").textContent = nameOf("state", "reserved");
  at("talk").dataset.attempt = event.attempt;
  if (!fresh) return;
  at("incoming-said").textContent = say("incoming", { kind: nameOf("kind", event.kind) });
  show("answer", Boolean(event.ring) && config.browser);
  show("incoming");
  if (event.ring) ring(nameOf("kind", event.kind));
}

// Not before the story is told: what it says is written by then, and that the call is this agent's.
async function loadTerms(attempt) {
  const terms = await aside(`/call?attempt=${attempt}`).catch(() => null);
  if (!terms || call?.attempt !== attempt) return;
  showScript(terms);
  setWrap(terms.wrap);
}

function storyTold(story, fresh) {
  showStory(story);
  loadTerms(call.attempt);
  at("talk").dataset.story = call.joined ? "after" : "before";
  if (!fresh || call.joined) return;
  const kind = nameOf("kind", call.kind);
  at("incoming-said").textContent = say("incoming_who", { name: story.name, kind });
}

function joined(since, fresh = false) {
  quiet();
  if (fresh && !call.joined) announce(say("joined"));
  call.joined ??= since;
  show("incoming", false);
  at("talk-state").textContent = nameOf("state", "talking");
  setLive(true);
  allowPay(true);
  run("talk-time", (now) => { at("talk-time").textContent = clock((now - call.joined) / 1000); });
}

function left(fresh) {
  quiet();
  show("incoming", false);
  run("talk-time", null);
  setLive(false);
  allowPay(false);
  call.over = true;
  at("talk-state").textContent = say("left");
  line.release();
  wrappingUp(fresh);
  if (fresh) announce(say("left"));
}

function clearCall() {
  call = null;
  quiet();
  run("talk-time", null);
  run("preview", null);
  at("talk-time").textContent = clock(0);
  delete at("talk").dataset.attempt;
  delete at("talk").dataset.story;
  for (const clear of [clearStory, clearTalk, clearPay, clearConclude]) clear();
  allowPay(false);
  for (const id of ["talk", "incoming", "answer", "preview-actions"]) show(id, false);
  for (const id of ["pay", "conclude"]) show(id);
  show("idle");
}

function answer() {
  quiet();
  show("answer", false);
  line.answer().catch(() => trouble(config.refusals.no_leg));
}

at("answer").addEventListener("click", answer);
at("hear").addEventListener("click", () => { at("far").play(); show("hear", false); show("incoming", false); });

// --- a debtor to look at before they are called -------------------------------------------------

function previewTold(event) {
  if (Date.parse(event.until) < engineNow() || call?.attempt) return;
  clearCall();
  call = { attempt: null };
  show("idle", false);
  show("talk");
  for (const id of ["pay", "conclude"]) show(id, false);
  show("preview-actions");
  showStory(event.story);
  const until = Date.parse(event.until);
  run("preview", (now) => {
    at("preview-left").textContent = clock((until - now) / 1000);
    if (now > until) clearCall();
  });
  announce(say("preview", { name: event.story.name }));
}

at("preview-call").addEventListener("click", async () => {
  if (!(await tried(() => post("/preview/call")))) return;
  show("preview-actions", false);
  run("preview", null);
  if (call?.attempt === null) call.placed = true;
});
at("preview-skip").addEventListener("click", async () => {
  if (await tried(() => post("/preview/skip"))) clearCall();
});

// --- beside -------------------------------------------------------------------------------------

async function loadAside() {
  loadAgreed();
  const told = await aside("/day").catch(() => null);
  if (!told) return;
  for (const [name, value] of Object.entries(told)) at(`day-${name}`).textContent = value;
}

addEventListener("beforeunload", (event) => {
  if (seat.state === "talking" || unsaved()) event.preventDefault();
});

begin();
