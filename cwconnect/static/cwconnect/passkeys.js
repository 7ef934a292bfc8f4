// Passkeys: the browser makes one, or answers with one, when a form marked data-passkey is sent; its answer goes along.
// What to ask for stands in the form's data-options, or is fetched from where the form leads. A form stays hidden where
// the browser has no passkeys, as it has none on a page that came without TLS.
"use strict";

const failed = (form, text) => {
  const place = form.querySelector("[data-passkey-failed]");
  place.textContent = text;
  place.hidden = false;
};

const optionsOf = async (form) => {
  if (form.dataset.options) return JSON.parse(form.dataset.options);
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
};

const ask = async (form) => {
  const options = await optionsOf(form);
  const credential = await (form.dataset.passkey === "create" ? webauthnJSON.create(options) : webauthnJSON.get(options));
  form.elements.credential.value = JSON.stringify(credential);
  form.submit();
};

const reasons = {
  NotAllowedError: "Nothing was done: the browser was asked to stop, or nothing answered in time.",
  InvalidStateError: "This device has a passkey for you already.",
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      await ask(form);
    } catch (error) {
      failed(form, reasons[error.name] || "The browser could not use a passkey here. Try again, or take another way.");
      button.disabled = false;
      button.focus();
    }
  });
}
