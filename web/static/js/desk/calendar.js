// Agreeing on a call: a month, a time where the debtor is, who calls.

import { aside, post, tried } from "./api.js";
import { announce, at, config, day, make, moment, say, show, timeOfDay } from "./page.js";
import { concludedBy } from "./conclude.js";
import { shown } from "./story.js";

const DAY_MS = 86_400_000;
let agreed = [];
let month = null;  // the first of it, UTC
let chosen = null;  // 2026-12-24

const zone = () => shown.zone ?? config.timezone;
const iso = (date) => date.toISOString().slice(0, 10);

// The date that it is now in a zone.
function todayIn(name) {
  return new Intl.DateTimeFormat("en-CA", { timeZone: name }).format(new Date());
}

// How far a zone's clocks are ahead of UTC at a moment.
function offset(ms, name) {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: name, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric",
    hour: "numeric", minute: "numeric", second: "numeric",
  }).formatToParts(new Date(ms));
  const of = (type) => Number(parts.find((one) => one.type === type).value);
  const there = Date.UTC(of("year"), of("month") - 1, of("day"), of("hour"), of("minute"), of("second"));
  return there - Math.floor(ms / 1000) * 1000;
}

// The moment at which clocks of a zone show this; of an hour that is there twice, the first.
export function instant(date, time, name) {
  const local = Date.parse(`${date}T${time}:00Z`);
  const guess = local - offset(local, name);
  return new Date(local - offset(guess, name));
}

export async function loadAgreed() {
  const found = await aside("/agreed").catch(() => null);
  if (!found) return;
  agreed = found.agreed;
  at("agreed").replaceChildren(...agreed.slice(0, 10).map((one) => make("li", {},
    make("strong", { text: moment(one.at) }), " ", make("span", { text: one.note, className: "muted" }))));
  show("agreed-none", !agreed.length);
}

at("callback").addEventListener("click", () => {
  chosen = null;
  const today = new Date(`${todayIn(zone())}T00:00:00Z`);
  month = new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), 1));
  at("callback-fault").textContent = at("callback-note").value = "";
  draw(iso(today));
  both();
  at("callback-dialog").showModal();
});

function draw(focus) {
  const today = todayIn(zone());
  at("month").textContent = day(iso(month), { month: "long", year: "numeric" });
  const monday = new Date(month.getTime() - ((month.getUTCDay() + 6) % 7) * DAY_MS);
  at("weekdays").replaceChildren(...Array.from({ length: 7 }, (_, n) => make("th", {
    scope: "col", text: day(iso(new Date(monday.getTime() + n * DAY_MS)), { weekday: "short" }),
  })));
  const weeks = [];
  for (let first = monday.getTime(); new Date(first).getUTCMonth() === month.getUTCMonth() || !weeks.length; first += 7 * DAY_MS) {
    weeks.push(make("tr", {}, ...Array.from({ length: 7 }, (_, n) => cell(iso(new Date(first + n * DAY_MS)), today, focus))));
  }
  at("days").replaceChildren(...weeks);
}

function cell(date, today, focus) {
  const inside = date.slice(0, 7) === iso(month).slice(0, 7);
  if (!inside) return make("td", {});
  const count = agreed.filter((one) => new Intl.DateTimeFormat("en-CA", { timeZone: zone() })
    .format(new Date(one.at)) === date).length;
  const button = make("button", {
    type: "button", text: String(Number(date.slice(8))), "data-day": date,
    "aria-label": say("day", { date: day(date, { weekday: "long", day: "numeric", month: "long" }), count }),
    "aria-pressed": String(date === chosen), tabindex: date === (chosen ?? focus) ? "0" : "-1",
    className: "second",
  });
  button.disabled = date < today;
  if (count) button.append(make("span", { className: "dot", "aria-hidden": "true" }));
  return make("td", {}, button);
}

function choose(date) {
  chosen = date;
  draw(date);
  at("days").querySelector(`[data-day="${date}"]`)?.focus();
  both();
}

// The moment for both: the debtor's clock and one's own.
function both() {
  const time = at("callback-time").value;
  if (!chosen || !time) { at("callback-both").textContent = say("choose_day"); return null; }
  const when = instant(chosen, time, zone());
  at("callback-both").textContent = say("their_time", {
    time: moment(when, zone()), zone: zone(), own: timeOfDay(when, config.timezone),
  });
  return when;
}

function turn(months, focus) {
  month = new Date(Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + months, 1));
  draw(focus ?? iso(month));
}

at("month-before").addEventListener("click", () => turn(-1));
at("month-after").addEventListener("click", () => turn(1));
at("callback-time").addEventListener("input", both);
at("days").addEventListener("click", (event) => {
  const button = event.target.closest("[data-day]");
  if (button) choose(button.dataset.day);
});
at("days").addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 }[event.key];
  const from = event.target.dataset.day;
  if (!steps || !from) return;
  event.preventDefault();
  const to = iso(new Date(Date.parse(`${from}T00:00:00Z`) + steps * DAY_MS));
  if (to < todayIn(zone())) return;
  if (to.slice(0, 7) !== from.slice(0, 7)) turn(Math.sign(steps), to);
  const button = at("days").querySelector(`[data-day="${to}"]`);
  for (const one of at("days").querySelectorAll("[data-day]")) one.tabIndex = one === button ? 0 : -1;
  button?.focus();
});

at("callback-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const when = both();
  const fault = (text) => { at("callback-fault").textContent = text; };
  if (!when) { fault(say("choose_day")); return; }
  const own = at("callback-form").elements.whose.value === "own";
  const wish = { due_at: when.toISOString(), own, note: at("callback-note").value };
  if (!(await tried(() => post("/call/callback", wish), fault))) return;
  at("callback-dialog").close();
  concludedBy("callback");
  at("saved").textContent = say("booked", { when: moment(when, zone()) });
  announce(at("saved").textContent);
  loadAgreed();
});
