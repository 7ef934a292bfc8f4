// Codes of invitations and of new passwords stand behind the # of a link, which browsers send to nobody. They are put
// into the page's field and taken out of the address, so that neither the history nor a picture of the screen has them.
"use strict";

const takeCode = () => {
  const field = document.querySelector("[data-from-link]");
  const code = location.hash.slice(1);
  if (!field || !code) return;
  history.replaceState(null, "", location.pathname);
  field.value = code;
  field.closest(".field").hidden = true;
  if (field.form.dataset.submitFromLink !== undefined) field.form.requestSubmit();
};

takeCode();
addEventListener("hashchange", takeCode); // another link, opened in the same window
