// Copies what a field holds; where the browser forbids it, the field is selected for Ctrl+C.
"use strict";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    document.getElementById("copied").textContent = button.dataset.done;
  } catch {
    field.focus();
  }
});
