// Listens to the stream and fetches the page again when something happened that it may show.
import { swap } from "./page.js";

const SOON_MS = 120; // what happens together is fetched together
const AT_MOST_EVERY_MS = 1_000;
const AGAIN_MS = 15_000;
const ANYWAY_MS = 60_000; // engagement decays and time passes without any event

export function live() {
  const { live: wanted, liveTypes } = document.body.dataset;
  if (!wanted) return;
  const state = document.getElementById("live-state");
  let fetchedAt = performance.now();
  let timer = 0;
  let isFetching = false;
  let isStale = false;

  async function refresh() {
    timer = 0;
    if (document.hidden || isFetching) { isStale = true; return; }
    isFetching = true;
    isStale = false;
    const asked = location.href;
    try {
      const answer = await fetch(asked, { headers: { Accept: "text/html" } });
      if (answer.redirected && new URL(answer.url).pathname === "/sign-in") { location.reload(); return; }
      const text = await answer.text();
      // Who has done something meanwhile looks at another page than the one that was asked for.
      if (location.href !== asked) isStale = true;
      else if (answer.ok) swap(text);
    } catch {
      // The stream says that the server is away, and comes back with it.
    } finally {
      isFetching = false;
      fetchedAt = performance.now();
      if (isStale) soon();
      again();
    }
  }

  // A region that is old already, or tells what no event does, says after how many seconds it wants to be fetched.
  let againTimer = 0;
  function again() {
    clearTimeout(againTimer);
    const wishes = [...document.querySelectorAll("[data-again]")].map((region) => Number(region.dataset.again));
    if (wishes.length) againTimer = setTimeout(soon, 1_000 * Math.min(...wishes));
  }

  function soon() {
    if (timer) return;
    timer = setTimeout(refresh, Math.max(SOON_MS, AT_MOST_EVERY_MS - (performance.now() - fetchedAt)));
  }

  function show(name, words) {
    if (!state) return;
    state.hidden = false;
    state.dataset.state = name;
    state.textContent = words;
  }

  let stream = null;

  function listen() {
    if (stream || document.hidden) return;
    stream = new EventSource(`/live?${wanted}`);
    stream.onopen = () => { show("here", "Live"); soon(); };
    stream.onerror = () => {
      show("away", "Not live: trying again");
      soon();
      // The browser tries again by itself, but not after a refusal.
      if (stream.readyState === EventSource.CLOSED) { rest(); setTimeout(listen, AGAIN_MS); }
    };
    for (const type of ["reset", ...liveTypes.split(" ")]) stream.addEventListener(type, soon);
  }

  function rest() {
    stream?.close();
    stream = null;
  }

  listen();
  again();
  setInterval(soon, ANYWAY_MS);
  // Browsers open six connections to a server: tabs in the background, of which people have many, must not hold them.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { rest(); return; }
    listen();
    soon();
  });
}
