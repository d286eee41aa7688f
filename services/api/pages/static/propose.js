// Tries the document while it is typed, marks the lines with mistakes, and leads to them.
const PAUSE_MS = 400; // after the last stroke

const form = document.getElementById("proposal");
const text = document.getElementById("document");
const numbers = document.getElementById("numbers");
let timer = 0;
let isAsking = false;
let isStale = false;

function faultyLines() {
  return new Set([...document.querySelectorAll("#findings [data-line]")].map((button) => Number(button.dataset.line)));
}

let drawn = "";

// Only what changed is drawn: a document may have thousands of lines.
function drawNumbers() {
  const faulty = faultyLines();
  const count = text.value.split("\n").length;
  const wanted = `${count}: ${[...faulty]}`;
  if (wanted === drawn) return;
  drawn = wanted;
  numbers.replaceChildren(...Array.from({ length: count }, (_, at) => {
    const line = document.createElement("span");
    line.textContent = `${at + 1}\n`;
    if (faulty.has(at + 1)) line.className = "faulty";
    return line;
  }));
  numbers.scrollTop = text.scrollTop;
}

async function ask() {
  timer = 0;
  if (isAsking) { isStale = true; return; }
  isAsking = true;
  isStale = false;
  try {
    const answer = await fetch("/accord/propose/findings", { method: "POST", body: new URLSearchParams(new FormData(form)) });
    if (answer.redirected) { location.reload(); return; }
    const told = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = told.getElementById("findings");
    if (fresh) show(fresh);
    else excuse(told.querySelector("h1")?.textContent ?? "It could not be tried");
  } catch {
    // The next stroke asks again, and proposing checks everything anew.
  } finally {
    isAsking = false;
    if (isStale) soon();
  }
}

// What came is an error of the whole page, such as that of a text that is too large.
function excuse(words) {
  const verdict = document.querySelector("#findings [role=status]");
  verdict.textContent = words;
  verdict.className = "verdict bad";
}

function show(fresh) {
  const now = document.getElementById("findings");
  const verdict = now.querySelector("[role=status]");
  const next = fresh.querySelector("[role=status]");
  if (!now.isEqualNode(fresh)) {
    // The same element goes on as the live region, so that its change is spoken, once.
    if (verdict && next) {
      if (verdict.textContent !== next.textContent) verdict.textContent = next.textContent;
      verdict.className = next.className;
      next.replaceWith(verdict);
    }
    now.replaceWith(document.adoptNode(fresh));
  }
  text.setAttribute("aria-invalid", String(document.querySelector("#findings .mistakes") !== null));
  drawNumbers();
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
}

function goTo(line) {
  const lines = text.value.split("\n");
  const from = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  text.focus();
  text.setSelectionRange(from, from + (lines[line - 1] ?? "").length);
  const height = text.scrollHeight / Math.max(1, lines.length);
  text.scrollTop = Math.max(0, height * (line - 1) - text.clientHeight / 3);
}

if (form && text) {
  text.addEventListener("input", () => { drawNumbers(); soon(); });
  text.addEventListener("scroll", () => { numbers.scrollTop = text.scrollTop; });
  // What was written isn't lost by a slip.
  let isSent = false;
  form.addEventListener("submit", () => { isSent = true; });
  addEventListener("beforeunload", (event) => { if (!isSent && text.value !== text.defaultValue) event.preventDefault(); });
  form.elements.effective_at.addEventListener("change", soon);
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-line]");
    if (button) goTo(Number(button.dataset.line));
  });
  drawNumbers();
  ask();
}
