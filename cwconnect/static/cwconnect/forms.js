// What forms do beside being sent: lead to a wrong field, and keep the fields of a poll and its JSON in step.
"use strict";

// A link to a field opens what is folded around it, and moves the focus there.
const unfold = (element) => {
  for (let each = element.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
};
document.addEventListener("click", (event) => {
  const link = event.target.closest(".summary a[href^='#'], .finding a[href^='#']");
  const field = link && document.getElementById(link.getAttribute("href").slice(1));
  if (!field) return;
  unfold(field);
  field.focus();
});

// What is empty can't be copied: what is stored never shows.
const offerCopy = () => {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    if (source && "value" in source) button.hidden = !source.value.trim();
  }
};

// The fields of a poll and its JSON are one configuration (docs/wire-contract.md, 4). The JSON is what counts; a field
// shows what stands in it, and writes its own key alone, so that keys without a field stay as they are.
// The same rules as in instances/pages/poll_fields.py.
const BLANK = (value) => value === undefined || value === null || (typeof value === "string" && !value.trim());
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const places = (field) => field.dataset.pollKey.split(" ").map((place) => place.split("."));
const at = (found, way) => way.reduce((value, part) => (isObject(value) ? value[part] : undefined), found);

const read = (area) => {
  if (!area.value.trim()) return {};
  try {
    const found = JSON.parse(area.value);
    return isObject(found) ? found : null;
  } catch {
    return null;
  }
};

const switched = (value, standard) => {
  const word = String(value).trim().toLowerCase();
  return ["true", "yes"].includes(word) || (!["false", "no"].includes(word) && standard === "true");
};

const show = (field, found) => {
  const value = places(field).map((way) => at(found, way)).find((each) => !BLANK(each));
  if (field.dataset.kind === "switch") field.checked = switched(value ?? "", field.dataset.default);
  else field.value = value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
};

const put = (found, way, value) => {
  const parent = way.slice(0, -1).reduce((inner, part) => {
    if (!isObject(inner[part])) inner[part] = {};
    return inner[part];
  }, found);
  parent[way.at(-1)] = value;
};
const drop = (found, way) => {
  const parent = at(found, way.slice(0, -1));
  if (isObject(parent)) delete parent[way.at(-1)];
};
const typedInto = (field) => {
  if (field.dataset.kind === "switch") return field.checked;
  const text = field.value.trim();
  return field.dataset.kind === "number" && /^\d{1,9}$/.test(text) ? Number(text) : text;
};

const write = (field, found) => {
  const value = typedInto(field);
  if (value === "") places(field).forEach((way) => drop(found, way));
  else put(found, places(field).find((way) => !BLANK(at(found, way))) ?? places(field)[0], value);
};

const tell = (poll, readable) => {
  const line = poll.querySelector("[data-poll-says]");
  line.dataset.usual ??= line.textContent;
  const text = readable ? line.dataset.usual : "The JSON can’t be read as it stands. Until it can, the fields wait.";
  if (line.textContent !== text) line.textContent = text;
  poll.querySelector(".poll-fields").inert = !readable; // not disabled: they are sent as they are
};

const keepInStep = (event) => {
  const poll = event.target.closest?.("[data-poll]");
  if (!poll) return;
  const area = poll.querySelector("[data-poll-json]"), found = read(area);
  if (event.target === area) {
    tell(poll, found !== null);
    if (found) for (const field of poll.querySelectorAll("[data-poll-key]")) show(field, found);
  } else if ("pollKey" in event.target.dataset && found) {
    write(event.target, found);
    area.value = JSON.stringify(found, null, 2);
  }
};

document.addEventListener("input", (event) => {
  keepInStep(event);
  offerCopy();
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-make-key]")) offerCopy();
});
const prepare = () => {
  offerCopy();
  // Without a script nobody unfolds them, so what is wrong is unfolded by the server; here lies what it could not know.
  document.querySelectorAll("[aria-invalid=true]").forEach(unfold);
};
addEventListener("DOMContentLoaded", prepare);
addEventListener("htmx:afterSettle", (event) => {
  const poll = event.detail.target.closest?.("[data-poll]");
  if (poll && event.detail.target.matches(".poll-fields")) {
    // The fields have come: they show what the JSON holds, which folds away beside them.
    const found = read(poll.querySelector("[data-poll-json]"));
    for (const field of poll.querySelectorAll("[data-poll-key]")) show(field, found ?? {});
    tell(poll, found !== null);
    poll.querySelector(".poll-json").open = found === null;
  }
  if (event.detail.target.id === "main") prepare();
});
