"""How long the web pages take on a large house, and how much they send: each page again and again, signed in."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aiohttp
import asyncpg

from benchmarks.broken import Broken
from benchmarks.large.questions import draws_from
from benchmarks.load import Target
from benchmarks.numbers import percentile

CALLS: Final = 40
P95_TARGET_MS: Final = 100.0
KB_TARGET: Final = 150.0
PAGES: Final = (
    "/",
    "/leads",
    "/leads?stage=mql",
    "/leads?q={letters}",
    "/leads?owner={owner}",
    "/leads/{busy}",
    "/clocks",
    "/accord",
    "/accord/1",
    "/sources",
    "/operations",
)


@dataclass(frozen=True)
class Page:
    """One page; `kb` as it is sent, compressed, without its styles and scripts, which browsers keep."""

    path: str
    calls: int
    p50_ms: float
    p95_ms: float
    kb: float

    @property
    def is_met(self) -> bool:
        return self.p95_ms < P95_TARGET_MS and self.kb < KB_TARGET


async def measure_pages(target: Target, database_url: str, tell: Callable[[Page], None]) -> list[Page]:
    """Every page, one call after the other, after one that doesn't count."""
    connection = await asyncpg.connect(database_url)
    try:
        draws = await draws_from(connection)
    finally:
        await connection.close()
    url = f"http://{target.host}:{target.port}"
    # Cookies of an address that is a number are kept only where that is asked for.
    jar = aiohttp.CookieJar(unsafe=True)
    found = []
    async with aiohttp.ClientSession(url, auto_decompress=False, cookie_jar=jar) as session:
        async with session.post("/sign-in", data={"key": target.key}, allow_redirects=False) as answer:
            if answer.status != 303:
                raise Broken(f"POST /sign-in: {answer.status}")
        for path in PAGES:
            seconds, sizes = [], []
            for _ in range(CALLS + 1):
                began = time.monotonic()
                sizes.append(len(await _get(session, path.format_map(draws()))))
                seconds.append(time.monotonic() - began)
            p50, p95 = (round(percentile(seconds[1:], share) * 1_000, 1) for share in (0.5, 0.95))
            found.append(Page(path, CALLS, p50, p95, round(max(sizes) / 1_024, 1)))
            tell(found[-1])
    return found


async def _get(session: aiohttp.ClientSession, path: str) -> bytes:
    async with session.get(path, headers={"Accept-Encoding": "gzip"}, allow_redirects=False) as answer:
        body = await answer.read()
        if answer.status != 200:
            raise Broken(f"GET {path}: {answer.status}")
        return body
