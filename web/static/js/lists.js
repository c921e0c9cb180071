// Sends a list with a bar that shows how much of it has left. Without this the form does it alone.
"use strict";

(() => {
  const form = document.getElementById("upload");
  if (!form) return;
  const file = form.querySelector('input[type="file"]');
  const sending = document.getElementById("sending");
  const says = document.getElementById("sending-says");
  const bar = document.getElementById("sending-bar");
  const button = form.querySelector('button[type="submit"]');

  function tell(text, over) {
    sending.hidden = false;
    says.textContent = text;
    says.classList.toggle("bad", over);
    says.classList.toggle("hint", over);
    bar.hidden = over;
    button.disabled = !over;
  }

  function tooLarge() {
    return file.files[0] && file.files[0].size > Number(form.dataset.largest);
  }

  file.addEventListener("change", () => {
    if (tooLarge()) tell(form.dataset.tooLarge, true);
    else sending.hidden = true;
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (tooLarge()) { tell(form.dataset.tooLarge, true); return; }
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.responseType = "json";
    request.upload.addEventListener("progress", (step) => {
      if (!step.lengthComputable) return;
      bar.value = 100 * step.loaded / step.total;
      tell(`${Math.round(bar.value)} %`, false);
    });
    request.upload.addEventListener("load", () => {
      bar.removeAttribute("value");
      tell(form.dataset.reading, false);
    });
    request.addEventListener("load", () => {
      if (request.status === 413) tell(form.dataset.tooLarge, true);
      else if (request.status >= 400 || !request.response) tell(form.dataset.failed, true);
      else window.location.assign(request.response.go);
    });
    request.addEventListener("error", () => tell(form.dataset.failed, true));
    tell("", false);
    request.send(new FormData(form));
  });
})();
