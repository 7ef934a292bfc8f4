// What is fetched to be copied is copied at once: one click, and what was copied stands there to be read.
"use strict";

addEventListener("htmx:afterSettle", (event) => {
  const id = event.detail.elt.querySelector?.("[data-copy-now]")?.dataset.copyNow;
  if (id) event.detail.elt.querySelector(`[data-copy="${id}"]`).click();
});
