// Ready, as a wish: who says so before the line is up is ready as soon as it is.

import { insist, post, tried } from "./api.js";
import { at, say, show } from "./page.js";

let wish = null;

function tell(what) {
  const text = what ? say(what) : "";
  if (at("ready-soon").textContent !== text) at("ready-soon").textContent = text;
  show("ready-soon", Boolean(text));
}

export function forgetReady() {
  wish = null;
  tell(null);
}

at("ready").addEventListener("click", async () => {
  if (wish) return;
  const mine = wish = {};
  const soon = (error) => tell(error.code === "no_leg" ? "ready_line" : "ready_system");
  await tried(() => insist(() => post("/session/ready"), () => wish === mine, soon));
  if (wish === mine) forgetReady();
});
at("pause").addEventListener("click", forgetReady);
