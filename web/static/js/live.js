// Live parts of pages: times that count, a part that waits while something is asked, a field that
// is kept by the page.
"use strict";

(() => {
  const live = document.getElementById("live");

  // How far this browser's clock is from the server's.
  const skew = live && live.dataset.at ? Date.now() - Date.parse(live.dataset.at) : 0;

  function span(seconds) {
    const two = (n) => String(n).padStart(2, "0");
    const whole = Math.max(0, Math.round(seconds));
    const hours = Math.floor(whole / 3600);
    const minutes = Math.floor(whole / 60) % 60;
    return (hours ? `${hours}:${two(minutes)}` : String(minutes)) + `:${two(whole % 60)}`;
  }

  function tick() {
    for (const one of document.querySelectorAll("time[data-since]")) {
      const text = span((Date.now() - skew - Date.parse(one.dateTime)) / 1000);
      if (one.textContent !== text) one.textContent = text;
    }
  }

  if (live) {
    tick();
    setInterval(tick, 1000);
    document.body.addEventListener("htmx:afterSwap", tick);
  }

  // While a question is open, its button must stay where it is: what came meanwhile is shown after.
  let held = null;
  document.body.addEventListener("htmx:sseBeforeMessage", (event) => {
    if (!document.querySelector("dialog[open]")) return;
    event.preventDefault();
    held = { target: event.target, html: event.detail.data };
  });
  document.addEventListener("close", () => {
    const last = held;
    held = null;
    if (last) setTimeout(() => htmx.swap(last.target, last.html, { swapStyle: "innerHTML" }), 0);
  }, true);

  // Not in a cookie: it never leaves this browser but with the form itself.
  for (const field of document.querySelectorAll("[data-keep]")) {
    field.value = field.value || sessionStorage.getItem(field.dataset.keep) || "";
    field.addEventListener("change", () => {
      sessionStorage.setItem(field.dataset.keep, field.value);
    });
  }
})();
