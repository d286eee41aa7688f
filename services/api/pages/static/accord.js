// What makes a page alive. Everything works without it: forms post, links lead on, times stand as they were sent.
import { keys } from "./keys.js";
import { live } from "./live.js";
import { forms } from "./forms.js";
import { countdowns } from "./countdowns.js";

// Times are written in the reader's zone by the server, which learns it here.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.includes(`accord_zone=${zone}`)) {
  document.cookie = `accord_zone=${zone}; path=/; max-age=31536000; samesite=lax`;
}

// A link may bring a key along behind the #, which never leaves the browser but through this form.
const keyForm = document.querySelector("[data-key-form]");
if (keyForm && location.hash.startsWith("#acc_")) {
  keyForm.elements.key.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
  keyForm.requestSubmit();
}

countdowns();
keys();
forms();
live();
