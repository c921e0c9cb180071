// What all of the desk's scripts share: what the server told them, words, elements, times.

const root = document.getElementById("desk");

export const config = JSON.parse(root.dataset.config);
export const logIn = root.dataset.logIn;

// Days before months, as the rest of the pages has it.
const locale = config.language === "en" ? "en-GB" : config.language;

export const at = (id) => document.getElementById(id);

// A sentence of the page's language; %(name)s is filled in.
export function say(key, values = {}) {
  const text = config.words[key] ?? key;
  return text.replace(/%\((\w+)\)s/g, (_, name) => String(values[name] ?? ""));
}

// How a value is called; what has no name is shown as it stands.
export const nameOf = (kind, value) =>
  config.names[kind]?.[value] ?? String(value ?? "").replaceAll(/[_-]/g, " ");

export function show(element, shown = true) {
  (typeof element === "string" ? at(element) : element).classList.toggle("hidden", !shown);
}

// An element with text and children, without any HTML: what a debtor is called is only ever text.
export function make(tag, { text, className, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// For screen readers: said once each, also where the same is said again.
export function announce(text) {
  at("said").textContent = "";
  setTimeout(() => { at("said").textContent = text; }, 50);
}

export function trouble(text) {
  at("trouble").textContent = text;
  show("trouble", Boolean(text));
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const rest = `${Math.floor(whole / 60) % 60}:${String(whole % 60).padStart(2, "0")}`;
  return whole < 3600 ? rest : `${Math.floor(whole / 3600)}:${rest.padStart(5, "0")}`;
}

const money = new Map();

function moneyFormat(currency) {
  if (!money.has(currency)) {
    money.set(currency, new Intl.NumberFormat(locale, { style: "currency", currency }));
  }
  return money.get(currency);
}

export const minorDigits = (currency) =>
  moneyFormat(currency).resolvedOptions().maximumFractionDigits;

export const amount = (minor, currency) =>
  moneyFormat(currency).format(minor / 10 ** minorDigits(currency));

export function moment(iso, zone = config.timezone) {
  return new Intl.DateTimeFormat(locale, {
    timeZone: zone, day: "numeric", month: "short", year: "numeric", hour: "2-digit",
    minute: "2-digit", hourCycle: "h23",
  }).format(new Date(iso));
}

export function timeOfDay(when, zone) {
  return new Intl.DateTimeFormat(locale, {
    timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23",
  }).format(when);
}

// Of a date without a time (2026-12-24).
export function day(iso, how = { day: "numeric", month: "short", year: "numeric" }) {
  return new Intl.DateTimeFormat(locale, { ...how, timeZone: "UTC" })
    .format(new Date(`${iso}T00:00:00Z`));
}

// A question before what cannot be undone.
export function sure(question) {
  const dialog = at("sure-dialog");
  at("sure-said").textContent = question;
  return new Promise((done) => {
    const yes = () => { done(true); dialog.close(); };
    at("sure-yes").addEventListener("click", yes, { once: true });
    dialog.addEventListener("close", () => {
      at("sure-yes").removeEventListener("click", yes);
      done(false);
    }, { once: true });
    dialog.showModal();
  });
}

for (const button of root.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
