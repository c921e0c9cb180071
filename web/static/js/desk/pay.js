// A card that the debtor keys in while the agent looks on: steps and counts, never a digit.

import { post, tried } from "./api.js";
import { announce, at, make, nameOf, say, show } from "./page.js";
import { concludedBy } from "./conclude.js";
import { minorOf, shown } from "./story.js";
import { setPaying } from "./talk.js";

const STEPS = [
  "agree", "payment-card-number", "expiration-date", "security-code", "confirm",
  "payment-processing",
];

export function clearPay() {
  show("pay-running", false);
  show("pay-form");
  at("pay-result").textContent = at("pay-error").textContent = at("pay-amount").value = "";
  setPaying(false);
}

export function allowPay(live) {
  at("pay-start").disabled = !live;
}

function begin() {
  show("pay-form", false);
  show("pay-running");
  at("pay-result").textContent = at("pay-error").textContent = "";
  showStep(null);
  setPaying(true);
}

function showStep(current) {
  const reached = STEPS.indexOf(current);
  at("pay-steps").replaceChildren(...STEPS.map((step, index) => {
    const item = make("li", { text: nameOf("step", step), className: index < reached ? "done" : "" });
    if (index === reached) item.setAttribute("aria-current", "step");
    return item;
  }));
  count(0);
}

function count(digits) {
  at("pay-dots").textContent = "•".repeat(digits);
  at("pay-count").textContent = digits ? say("pay_digits", { count: digits }) : "";
}

let step = null;

// An event of the engine's: a step, a count, a mistake or the end.
export function payTold(event, fresh) {
  if (event.result) {
    show("pay-running", false);
    show("pay-form");
    setPaying(false);
    step = null;
    const said = say("pay_over", { result: nameOf("result", event.result) });
    at("pay-result").textContent = said;
    at("pay-result").dataset.result = event.result;
    if (event.result === "success") concludedBy("paid");
    return;
  }
  if (at("pay-running").classList.contains("hidden")) begin();
  if (event.step && event.step !== step) {
    step = event.step;
    showStep(step);
    if (fresh) announce(say("pay_step", { step: nameOf("step", step) }));
  }
  if (event.digits !== null) count(event.digits);
  at("pay-error").textContent = event.error ? nameOf("mistake", event.error) : "";
}

at("pay-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = at("pay-amount").value;
  const minor = text ? minorOf(text) : null;
  const fault = (said) => { at("pay-result").textContent = said; };
  if (text && minor === null) { fault(say("amount_wrong")); return; }
  const wish = minor === null ? {} : { amount_minor: minor, currency: shown.currency };
  if (!(await tried(() => post("/call/payment", wish), fault))) return;
  if (at("pay-running").classList.contains("hidden")) begin();
  announce(say("pay_asked"));
});
at("pay-again").addEventListener("click", async () => {
  if (await tried(() => post("/call/payment/again"))) announce(say("pay_again"));
});
at("pay-cancel").addEventListener("click", () => tried(() => post("/call/payment/cancel")));
