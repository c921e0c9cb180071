// What every page needs: theme, the menu, questions before what cannot be undone, scrolling tables.
"use strict";

(() => {
  const root = document.documentElement;

  function keepTheme(theme) {
    root.dataset.theme = theme;
    document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=lax`;
  }

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const dark = root.dataset.theme === "dark" ||
      (root.dataset.theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    keepTheme(dark ? "light" : "dark");
  });

  // A form with data-confirm asks first, in a dialog of the page.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = form.dataset.confirm;
    if (!question || form.dataset.sure) return;
    event.preventDefault();
    const dialog = document.createElement("dialog");
    const button = event.submitter;
    dialog.className = "ask";
    dialog.innerHTML = '<p></p><div class="actions"><button class="plain" value="no"></button>' +
      '<button class="danger" value="yes"></button></div>';
    dialog.querySelector("p").textContent = question;
    const [no, yes] = dialog.querySelectorAll("button");
    no.textContent = root.lang === "es" ? "No" : "No";
    yes.textContent = button ? button.textContent.trim() : "OK";
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", () => {
      dialog.close();
      form.dataset.sure = "1";
      form.requestSubmit(button);
      delete form.dataset.sure;
    });
    dialog.addEventListener("close", () => { dialog.remove(); if (button) button.focus(); });
    document.body.append(dialog);
    dialog.showModal();
    no.focus();
  });

  // A wide screen shows the menu as a side bar: it stays open there.
  const menu = document.getElementById("menu");
  if (menu) {
    const wide = matchMedia("(min-width: 60rem)");
    const fit = () => { menu.open = wide.matches; };
    wide.addEventListener("change", fit);
    fit();
  }

  // What is wider than the page scrolls, also by keyboard.
  for (const table of document.querySelectorAll(".scroll")) {
    if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
  }

  const mark = (event) => event.target.classList.toggle("stale", event.type !== "htmx:sseOpen");
  document.body.addEventListener("htmx:sseError", mark);
  document.body.addEventListener("htmx:sseOpen", mark);
})();
