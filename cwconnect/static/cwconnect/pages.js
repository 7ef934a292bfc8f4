// The pages' own script: zone and theme cookies, copy, search in a list, keys, folding. Everything else is htmx.
"use strict";

const YEAR = 31536000;
const setCookie = (name, value) => {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${name}=${encodeURIComponent(value)}; Path=/; Max-Age=${YEAR}; SameSite=Lax${secure}`;
};
const say = (text) => {
  const live = document.getElementById("live");
  if (live) live.textContent = text;
};

// The server writes times in the viewer's zone; the first page is still in the service's own.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && /^[A-Za-z0-9_+/-]+$/.test(zone)) {
  document.cookie = `cwconnect_zone=${zone}; Path=/; Max-Age=${YEAR}; SameSite=Lax`;
}

const dark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

const actions = {
  themeSwitch() {
    const theme = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    setCookie("cwconnect_theme", theme);
  },
  fold(button) {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    document.getElementById(button.dataset.fold).classList.toggle("open", open);
  },
  async copy(button) {
    const source = document.getElementById(button.dataset.copy);
    const text = (source.value ?? source.textContent).trim();
    if (!text) return say("There is nothing to copy: what is stored never shows");
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.dataset.label ||= button.textContent;
    button.textContent = "Copied";
    say("Copied");
    setTimeout(() => { button.textContent = button.dataset.label; }, 1500);
  },
  makeKey(button) {
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    const field = document.getElementById(button.dataset.makeKey);
    field.value = "whsec_" + btoa(String.fromCharCode(...bytes));
    field.type = "text";
    field.focus();
    say("A key was generated");
  },
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy], [data-theme-switch], [data-fold], [data-make-key]");
  if (!button) return;
  for (const [name, act] of Object.entries(actions)) if (name in button.dataset) act(button);
});

document.addEventListener("input", (event) => {
  const search = event.target.dataset.search;
  if (!search) return;
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const item of document.querySelectorAll(search)) {
    const said = item.dataset.words ?? item.textContent.toLowerCase();
    item.hidden = !words.every((word) => said.includes(word));
    shown += item.hidden ? 0 : 1;
  }
  // Parts that unfold are open while they have something of what is looked for.
  for (const part of document.querySelectorAll("[data-searched]")) {
    part.hidden = !part.querySelector(`${search}:not([hidden])`);
    part.open = words.length > 0 && !part.hidden;
  }
  say(`${shown} found`);
});

document.addEventListener("change", (event) => {
  if ("submit" in event.target.dataset) event.target.form.submit();
  const shows = event.target.dataset.shows;
  if (shows) document.getElementById(shows).hidden = event.target.value !== event.target.dataset.showsWhen;
});

const settle = () => {
  document.querySelector("[data-focus]")?.focus();
  for (const field of document.querySelectorAll("[data-shows]")) {
    document.getElementById(field.dataset.shows).hidden = field.value !== field.dataset.showsWhen;
  }
  // A page that shows something once takes the address of the page that stays, so that a reload repeats nothing.
  const shown = document.querySelector("[data-url]");
  if (shown) history.replaceState(null, "", shown.dataset.url);
};
addEventListener("DOMContentLoaded", settle);
// A button that was disabled meanwhile has the focus back; one that was replaced leaves it to what it brought.
const refocus = (event) => {
  const { elt, triggeringEvent } = event.detail.requestConfig ?? {};
  if (!["click", "submit"].includes(triggeringEvent?.type) || document.activeElement !== document.body) return;
  const brought = event.detail.elt;
  (elt.isConnected ? elt : brought.id === "main" ? brought : brought.querySelector("textarea, input, button"))?.focus();
};
addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target.id === "main") settle();
  refocus(event);
  // What refreshes itself says what is new, and nothing where nothing is.
  if (event.detail.elt.dataset.say) say(event.detail.elt.dataset.say);
});

// A form that was sent is not sent again by a second click; one come back to may be.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.hasAttribute("hx-post")) return;
  if ("sent" in form.dataset) event.preventDefault();
  form.dataset.sent = "";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-sent]")) delete form.dataset.sent;
});

// What was typed and not saved is not lost unasked: neither by a link nor by saving another part of the page.
const typed = new Set();
let leaving = null;
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-guard]");
  if (form) typed.add(form);
});
document.addEventListener("submit", (event) => { leaving = event.target; });
addEventListener("beforeunload", (event) => {
  if ([...typed].some((form) => form.isConnected && form !== leaving)) {
    event.preventDefault();
    if (leaving) delete leaving.dataset.sent; // who stays may send it once more
  }
  leaving = null;
});

// A menu closes as menus do.
const closeMenus = (keep) => {
  for (const menu of document.querySelectorAll(".more[open]")) if (menu !== keep) menu.open = false;
};
document.addEventListener("click", (event) => closeMenus(event.target.closest(".more")));
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && event.target.closest(".more[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// What a reader has unfolded stays so when its part of the page is refreshed.
let unfolded = [];
addEventListener("htmx:beforeSwap", (event) => {
  unfolded = [...event.detail.target.querySelectorAll("details[open][id]")].map((details) => details.id);
});
addEventListener("htmx:afterSwap", () => {
  for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
});

// What refreshes itself must not go on showing that all is well when nobody answers any more.
const banner = (text) => {
  let notice = document.getElementById("unanswered");
  if (!notice) {
    notice = document.createElement("p");
    notice.id = "unanswered";
    notice.className = "notice bad";
    notice.setAttribute("role", "alert");
    document.getElementById("main").prepend(notice);
  }
  notice.textContent = text;
};
let silentSince = null;
const unanswered = () => {
  silentSince ||= new Date().toLocaleTimeString();
  banner(`The service does not answer since ${silentSince}: what stands here is as of then.`);
};
addEventListener("htmx:sendError", unanswered);
addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  if (status >= 500) unanswered();
  else banner(`This was refused (${status}). Reload the page to see why.`);
});
addEventListener("htmx:afterOnLoad", () => {
  silentSince = null;
  document.getElementById("unanswered")?.remove();
});

// A form in parts: one opens after another, and Enter leads on instead of sending what is not filled in yet.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-next]");
  const next = button?.closest("details").nextElementSibling;
  if (!next) return;
  next.open = true;
  next.scrollIntoView({ block: "start" });
  next.querySelector("summary").focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches(".part input")) return;
  const next = event.target.closest(".part").querySelector("[data-next]");
  if (!next) return;
  event.preventDefault();
  if (event.target.type !== "search") next.click();
});
