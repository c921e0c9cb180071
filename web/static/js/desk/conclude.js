// How a call ends: what was agreed on, in a word and in notes; and the time that is left for it.

import { post, tried } from "./api.js";
import { announce, at, day, nameOf, say, show } from "./page.js";
import { run, seat } from "./seat.js";

const SAVE_BEFORE_MS = 3000;

let dirty = false;
let wrap = null;

export const unsaved = () => dirty;

export function clearConclude() {
  at("disposition").querySelector("[value=paid]")?.remove();
  at("conclude-form").reset();
  at("promise-form").reset();
  at("saved").textContent = "";
  dirty = false;
  wrap = null;
  setWrap(null);
  show("finish", false);
}

// ``seconds``: how long the wrap-up of this call may take.
export function setWrap(seconds) {
  if (seconds !== null) wrap = seconds;
  if (wrap === null || seat.state !== "wrap_up") {
    show("wrap-left", false);
    run("wrap", null);
    return;
  }
  show("wrap-left");
  run("wrap", (now) => {
    const left = wrap * 1000 - (now - seat.since);
    at("wrap-left").textContent = say("wrap_left", { seconds: Math.max(0, Math.ceil(left / 1000)) });
    // Time ends the wrap-up, and must not take what was typed with it. Who was talked to was spoken to.
    if (left < SAVE_BEFORE_MS && dirty) { concludedBy("spoke"); save(); }
  });
}

// The debtor has gone: what is left is to conclude.
export function wrappingUp(focus) {
  show("finish");
  setWrap(null);
  if (focus) at("disposition").focus();
}

async function save() {
  const disposition = at("disposition").value;
  if (!disposition) { at("saved").textContent = say("choose_disposition"); at("disposition").focus(); return false; }
  dirty = false;
  const sent = await tried(() => post("/call/disposition", { disposition, notes: at("notes").value }));
  dirty = !sent;
  at("saved").textContent = sent ? say("saved") : "";
  return Boolean(sent);
}

at("conclude-form").addEventListener("input", () => { dirty = true; at("saved").textContent = ""; });
at("conclude-form").addEventListener("submit", (event) => { event.preventDefault(); save(); });
at("finish").addEventListener("click", async () => {
  if (await save()) await tried(() => post("/session/wrap/done"));
});

// What was agreed on concludes the call too: the word for it is chosen, unless one was already.
export function concludedBy(disposition) {
  const list = at("disposition");
  // Nobody may choose this one where no money came.
  if (disposition === "paid" && !list.querySelector("[value=paid]")) {
    list.add(new Option(nameOf("disposition", "paid"), "paid"), 1);
  }
  if (!list.value) list.value = disposition;
}

// What was saved before the page was loaded anew.
export function concludedBefore({ disposition, notes }) {
  if (dirty) return;
  if (disposition) concludedBy(disposition);
  if (!at("notes").value) at("notes").value = notes;
}

at("promise-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const due = at("promise-date").value;
  if (!(await tried(() => post("/call/promise", { due })))) return;
  concludedBy("promise");
  at("saved").textContent = say("promised", { date: day(due) });
  announce(at("saved").textContent);
});
at("link").addEventListener("click", async () => {
  if (!(await tried(() => post("/call/link")))) return;
  concludedBy("link_sent");
  at("saved").textContent = say("link_sent");
  announce(say("link_sent"));
});
