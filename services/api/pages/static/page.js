// Swaps in what a fresh copy of this page shows differently, region by region. A region has an id and data-region.

export function say(words) {
  const said = document.getElementById("said");
  if (said && said.textContent !== words) said.textContent = words;
}

// Who types, has written something or has a menu open isn't disturbed.
function isBusy(region) {
  const focused = document.activeElement;
  if (region.contains(focused) && focused.matches("input, select, textarea")) return true;
  if (region.querySelector("details[open] form") !== null) return true;
  return [...region.querySelectorAll("input, textarea")].some((field) => field.value !== field.defaultValue);
}

export function swap(html, { all = false } = {}) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  if (all) {
    document.title = fresh.title;
    document.getElementById("main").replaceWith(document.adoptNode(fresh.getElementById("main")));
    return;
  }
  for (const now of document.querySelectorAll("[data-region][id]")) {
    const next = fresh.getElementById(now.id);
    if (!next) continue;
    keepOpen(now, next);
    if (next.isEqualNode(now) || isBusy(now)) continue;
    const focused = now.contains(document.activeElement) ? place(now, document.activeElement) : null;
    const scrolled = [...now.querySelectorAll(".table-box")].map((box) => [box.scrollLeft, box.scrollTop]);
    const adopted = document.adoptNode(next);
    markChanged(now, adopted);
    now.replaceWith(adopted);
    [...adopted.querySelectorAll(".table-box")].forEach((box, at) => { box.scrollTo(...(scrolled[at] ?? [0, 0])); });
    if (focused) restore(adopted, focused);
    const told = adopted.dataset.said;
    if (told && told !== now.dataset.said) say(told);
  }
}

// What somebody opened or closed stays so.
function keepOpen(now, next) {
  for (const details of now.querySelectorAll("details[id]")) {
    const same = next.querySelector(`#${CSS.escape(details.id)}`);
    if (same) same.open = details.open;
  }
}

function markChanged(before, after) {
  const known = new Map([...before.querySelectorAll("[data-key]")].map((row) => [row.dataset.key, row]));
  for (const row of after.querySelectorAll("[data-key]")) {
    const old = known.get(row.dataset.key);
    if (!old || old.dataset.state !== row.dataset.state) row.classList.add("changed");
  }
}

// Where the focus was, by what it would still be called after the swap.
function place(region, element) {
  const key = element.closest("[data-key]")?.dataset.key;
  const near = key === undefined ? region : region.querySelector(`[data-key="${CSS.escape(key)}"]`);
  return { key, id: element.id, at: [...near.querySelectorAll("a, button, [tabindex]")].indexOf(element) };
}

function restore(region, { key, id, at }) {
  const near = key === undefined ? region : region.querySelector(`[data-key="${CSS.escape(key)}"]`);
  const found = (id && document.getElementById(id)) || near?.querySelectorAll("a, button, [tabindex]")[at];
  found?.focus({ preventScroll: true });
}
