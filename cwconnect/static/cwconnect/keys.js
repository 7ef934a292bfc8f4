// Keys: / searches, ? lists the keys, g and a letter goes to a page. The list in the page says which there are.
"use strict";

(() => {
  const dialog = document.getElementById("keys");
  const field = document.getElementById("find");
  if (!dialog || !field) return;
  const OFF = "cwconnect_keys_off";
  const WITHIN = 1500; // ms between g and its letter
  const change = dialog.querySelector("[data-keys-switch]");
  let gone = -Infinity;

  const off = () => localStorage.getItem(OFF) !== null;
  const label = () => {
    change.textContent = off() ? "Switch the keys on" : "Switch the keys off";
    field.placeholder = off() || !matchMedia("(hover: hover)").matches ? "Search: name or id" : "Search: name or id ( / )";
  };
  const typing = (target) => target.closest?.("input, textarea, select, [contenteditable]") !== null;
  const list = () => { if (!dialog.open) dialog.showModal(); };

  const search = () => {
    const menu = document.getElementById("menu");
    const fold = document.querySelector("[data-fold=menu]");
    if (fold?.checkVisibility?.() && !menu.classList.contains("open")) fold.click();
    field.focus();
    field.select();
  };
  const go = (key) => dialog.querySelector(`[data-key="${CSS.escape(key)}"]`)?.click();

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
    if (event.defaultPrevented || off() || typing(event.target) || document.querySelector("dialog[open]")) return;
    const follows = event.timeStamp - gone < WITHIN;
    gone = -Infinity;
    if (follows && /^[a-z]$/.test(event.key)) go(event.key);
    else if (event.key === "g") gone = event.timeStamp;
    else if (event.key === "?") list();
    else if (event.key === "/") {
      event.preventDefault();
      search();
    }
  });

  for (const item of document.querySelectorAll("[data-when-keys]")) item.hidden = false;
  document.addEventListener("click", (event) => { if (event.target.closest("[data-keys]")) list(); });
  change.addEventListener("click", () => {
    if (off()) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "");
    label();
  });
  label();
})();
