// Versions of the accord are no events of the stream. A region that waits for one says after how many seconds it wants to
// be looked at again, so that one side sees the other sign.
import { swap } from "./page.js";

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
  const region = document.querySelector("[data-again]");
  if (region) setTimeout(look, 1_000 * Number(region.dataset.again));
}

later();
