// Lists of which several rows are chosen: how many are, all of a page at once, and Enter in a field of the bar.
"use strict";

const chosenIn = (form) => [...form.querySelectorAll("input[name=instance]")];
const count = (form) => {
  const boxes = chosenIn(form);
  const every = form.querySelector("input[name=every]");
  const chosen = boxes.filter((box) => box.checked).length;
  for (const box of boxes) box.disabled = every.checked;
  const all = form.querySelector("[data-choose-all]");
  all.disabled = every.checked;
  all.checked = chosen > 0 && chosen === boxes.length;
  all.indeterminate = chosen > 0 && chosen < boxes.length;
  const words = form.querySelector("[data-chosen]");
  words.dataset.label ||= words.textContent;
  words.textContent = every.checked ? "" : chosen ? `${chosen} chosen` : words.dataset.label;
};

document.addEventListener("change", (event) => {
  const form = event.target.closest("[data-choosing]");
  if (!form || event.target.type !== "checkbox") return;
  if ("chooseAll" in event.target.dataset) for (const box of chosenIn(form)) box.checked = event.target.checked;
  count(form);
});

// A browser that comes back to the page may have kept what was checked.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-choosing]")) if (form.querySelector("[name=every]")) count(form);
});

// A menu with a field is opened to type into it; Enter there presses the button beside the field.
document.addEventListener("toggle", (event) => {
  if (event.target.matches?.(".more[open]")) event.target.querySelector(".pop input:not([type=hidden])")?.focus();
}, true);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches(".pop input")) return;
  event.preventDefault();
  event.target.closest(".pop").querySelector("button").click();
});
