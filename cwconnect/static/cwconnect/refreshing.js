// Parts of pages that refresh themselves: they ask for news alone, rarely where nobody looks; times go on by themselves.
"use strict";

const RARELY = 60_000; // between two questions of a tab that nobody sees
const PARTS = '[hx-trigger^="every"]';
const asked = new Map(); // by the path of a part: when it was asked for last, and what it shows by which tag

const nameOf = (path) => path.split("?")[0];

addEventListener("htmx:configRequest", (event) => {
  const { elt, path, headers } = event.detail;
  if (!elt.matches(PARTS)) return;
  const name = nameOf(path);
  const before = asked.get(name) ?? { at: document.hidden ? Date.now() : 0 };
  if (document.hidden && Date.now() - before.at < RARELY) {
    asked.set(name, before);
    event.preventDefault();
    return;
  }
  asked.set(name, { ...before, at: Date.now() });
  const tag = elt.dataset.tag ?? (before.path === path ? before.tag : null);
  if (tag) headers["If-None-Match"] = tag;
});

// What a part shows bears the tag that came with it.
addEventListener("htmx:afterSwap", (event) => {
  const { xhr, requestConfig } = event.detail;
  if (!requestConfig?.elt.matches(PARTS)) return;
  const name = nameOf(requestConfig.path);
  asked.set(name, { ...asked.get(name), path: requestConfig.path, tag: xhr.getResponseHeader("ETag") });
});

// The service's clock counts, not the one of this machine.
const ahead = Number(document.documentElement.dataset.now) * 1000 - Date.now();
const STEPS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
const inWords = (seconds) => {
  const [size, unit] = STEPS.find(([length]) => seconds >= length) ?? [1, "s"];
  return `${Math.max(Math.floor(seconds / size), 0)} ${unit}`;
};
const PASSING = {
  age: inWords,
  ago: (seconds) => (seconds >= 1 ? `${inWords(seconds)} ago` : seconds <= -1 ? `in ${inWords(-seconds)}` : "now"),
};
const pass = () => {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-passing]")) {
    const seconds = (Date.now() + ahead - Date.parse(time.dateTime)) / 1000;
    const text = PASSING[time.dataset.passing](seconds);
    if (time.textContent === text) continue;
    if (time.closest("[role=alert], [role=status]")) time.setAttribute("aria-live", "off"); // time alone is no news
    time.textContent = text;
  }
};
setInterval(pass, 1000);

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  pass();
  for (const part of document.querySelectorAll(PARTS)) htmx.trigger(part, "refresh");
});
