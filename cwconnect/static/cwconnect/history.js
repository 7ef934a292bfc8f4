// What is fetched to be copied is copied at once: one click, and what was copied stands there to be read.
"use strict";

addEventListener("htmx:afterSettle", (event) => {
  const part = event.detail.target.querySelector("[data-copy-now]");
  if (!part) return;
  const id = part.dataset.copyNow;
  part.removeAttribute("data-copy-now");
  part.querySelector(`[data-copy="${id}"]`).click();
});
