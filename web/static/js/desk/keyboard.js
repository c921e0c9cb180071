// Shortcuts: Alt, Shift and a letter; by the place of the key, whatever the keyboard's language.

import { at } from "./page.js";

const BUTTONS = {
  KeyR: "ready", KeyP: "pause", KeyA: "answer", KeyH: "hold", KeyM: "mute", KeyK: "keys",
  KeyT: "transfer", KeyC: "callback", KeyE: "hang-up", KeyF: "finish", Digit1: "help",
};
const FIELDS = { KeyD: "disposition", KeyN: "notes", KeyY: "pay-amount" };

document.addEventListener("keydown", (event) => {
  if (!event.altKey || !event.shiftKey || event.ctrlKey || event.metaKey) return;
  if (document.querySelector("dialog[open]")) return;
  const element = at(BUTTONS[event.code] ?? FIELDS[event.code] ?? "");
  if (!element || element.disabled || !element.offsetParent) return;
  event.preventDefault();
  if (FIELDS[event.code]) element.focus();
  else element.click();
});

at("help").addEventListener("click", () => at("help-dialog").showModal());
