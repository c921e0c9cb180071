// Who the debtor is: what they owe, what this call said so far, what was before.

import { amount, at, config, day, make, minorDigits, moment, nameOf, say, show } from "./page.js";

// What other parts need of the story that is shown.
export const shown = { zone: null, currency: null };

export function showStory(story) {
  const about = story.accounts.find((one) => one.called_about) ?? story.accounts[0];
  shown.zone = story.timezone;
  shown.currency = about?.owed.currency ?? null;
  at("who").textContent = story.name;
  at("pay-currency").textContent = shown.currency ?? "";
  at("marks").replaceChildren(...marks(story));
  at("owed").replaceChildren(...story.accounts.map(account));
  at("before").replaceChildren(...story.timeline.map((one) => entry(one, story.timezone)));
  if (!story.timeline.length) {
    at("before").append(make("li", { text: say("nothing_before"), className: "muted" }));
  }
}

export function clearStory() {
  shown.zone = shown.currency = null;
  at("who").textContent = "–";
  for (const id of ["marks", "owed", "before", "script-lines"]) at(id).replaceChildren();
  show("script", false);
}

// What to say, and what the debtor heard last, in their language.
export function showScript({ script, heard, language }) {
  const lines = at("script-lines");
  lines.lang = language;
  lines.replaceChildren(...script.map((text) => make("p", { text })));
  at("heard-said").textContent = heard ?? "";
  at("heard-said").lang = language;
  show("heard", Boolean(heard));
  show("script");
}

function marks(story) {
  const call = story.call ?? {};
  const list = make("p", { className: "marks" });
  const mark = (text, kind = "quiet") => {
    list.append(make("span", { text, className: `badge ${kind}` }), " ");
  };
  if ("may_speak_of_debt" in story) {
    mark(
      say(story.may_speak_of_debt ? "confirmed" : "not_confirmed"),
      story.may_speak_of_debt ? "good" : "warn",
    );
  }
  if (story.do_not_call) mark(say("do_not_call"), "bad");
  if (story.opted_out_at) mark(say("opted_out"), "bad");
  mark(say("there", { time: moment(story.local_time, story.timezone), zone: story.timezone }));
  mark(story.campaign);
  mark(story.language);
  if (story.document) mark(say("document", { document: story.document }));
  if (call.number) mark(say("number", { number: call.number }));
  if (call.keys) mark(say("keys", { keys: call.keys }));
  if (call.outcome) mark(nameOf("disposition", call.outcome));
  if (call.failed?.length) {
    const what = call.failed.map(failure).join(", ");
    mark(say("tried_to_pay", { what }), "warn");
  }
  return [list];
}

const failure = (code) =>
  config.names.result[code] ?? config.names.mistake[code] ?? nameOf("result", code);

function account(one) {
  const { owed, claim } = one;
  const said = [say("due", { date: day(one.due) })];
  if (owed.minor !== claim.minor) said.push(say("claim", { amount: amount(claim.minor, claim.currency) }));
  if (one.pending) said.push(say("pending", { amount: amount(one.pending, claim.currency) }));
  const row = make("li", {},
    make("strong", { text: amount(owed.minor, owed.currency) }), " ",
    make("span", { text: one.reference, className: "mono" }), " ",
    make("span", { text: said.join(" · "), className: "muted" }));
  if (one.called_about) row.append(" ", make("span", { text: say("called_about"), className: "badge" }));
  return row;
}

function entry({ at: when, kind, detail }, zone) {
  const row = make("li", {},
    make("span", { text: moment(when), className: "muted" }), " ",
    make("strong", { text: kind === "call" && detail.inbound ? say("entry_call_in") : say(`entry_${kind}`) }));
  const more = about(kind, detail, zone).filter(Boolean).join(" · ");
  if (more) row.append(" ", make("span", { text: more }));
  return row;
}

function about(kind, detail, zone) {
  const money = () => amount(detail.amount_minor, detail.currency);
  switch (kind) {
    case "call":
      return [nameOf("disposition", detail.disposition), detail.talked && say("talked"), detail.campaign];
    case "message":
      return [nameOf("channel", detail.channel), nameOf("message", detail.state), detail.template];
    case "promise":
      return [money(), say("until", { day: day(detail.due) }), detail.account];
    case "payment":
      return [money(), nameOf("payment", detail.state), detail.account];
    case "callback":
      return [moment(detail.due_at, zone), nameOf("callback", detail.state), detail.agent, detail.note];
    case "note":
      return [detail.agent, detail.disposition && nameOf("disposition", detail.disposition), detail.notes];
    default:
      return [detail.reason];
  }
}

// ``12.50`` or ``12,50`` in minor units of the debt's currency; null where that is no amount.
export function minorOf(text) {
  const digits = minorDigits(shown.currency);
  const found = /^(\d{1,9})(?:[.,](\d+))?$/.exec(text.trim());
  if (!found || (found[2] ?? "").length > digits) return null;
  return Number(found[1] + (found[2] ?? "").padEnd(digits, "0")) || null;
}
