// Versions of the accord are no events of the stream. While one is on its way the page looks again every second, so that
// one side sees the other sign; otherwise now and then.
import { swap } from "./page.js";

const SOON_MS = 1_000;
const LATER_MS = 5_000;

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok && !answer.redirected) swap(await answer.text());
    } catch {
      // The stream of the page says that the server is away.
    }
  }
  later();
}

function later() {
  const again = document.querySelector("[data-again]")?.dataset.again;
  setTimeout(look, again === "soon" ? SOON_MS : LATER_MS);
}

later();
