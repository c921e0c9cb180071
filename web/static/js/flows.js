// A drawing is wider than most screens: it opens where the flow begins.
"use strict";

(() => {
  function toTheStart() {
    for (const frame of document.querySelectorAll(".drawing")) {
      const start = frame.querySelector('rect[stroke-width="3"]');
      if (!start || frame.dataset.placed) continue;
      frame.dataset.placed = "1";
      const box = start.getBoundingClientRect();
      const own = frame.getBoundingClientRect();
      frame.scrollLeft += box.left - own.left - (own.width - box.width) / 2;
    }
  }

  document.addEventListener("DOMContentLoaded", toTheStart);
  document.addEventListener("htmx:afterSettle", toTheStart);
})();
