// Forms marked data-act are sent without leaving the page; the answer is the page that they would have led to.
import { say, swap } from "./page.js";

export function forms() {
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (event.defaultPrevented || !form.matches("form[data-act]")) return;
    event.preventDefault();
    const button = event.submitter;
    const fields = new URLSearchParams(new FormData(form, button));
    // Not `form.action`: that is the field of this name where a form has one.
    const to = button?.getAttribute("formaction") ?? form.getAttribute("action");
    if (button) button.disabled = true;
    try {
      const answer = await fetch(to, { method: "POST", body: fields, headers: { Accept: "text/html" } });
      if (answer.redirected && new URL(answer.url).pathname === "/sign-in") { location.assign(answer.url); return; }
      if (answer.redirected) history.replaceState(null, "", answer.url);
      swap(await answer.text(), { all: true });
      const told = document.querySelector(".done, .fault");
      if (told) say(told.textContent.trim());
    } catch {
      say("The server can't be reached. Nothing was changed.");
      if (button) button.disabled = false;
    }
  });
  // A filter applies when it is chosen.
  document.addEventListener("change", (event) => {
    const form = event.target.closest?.("form[data-filter]");
    if (form) form.requestSubmit();
  });
}
