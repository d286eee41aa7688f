"""Forgets the ids of events that are older than the days they are kept for, a bounded batch at a time; and who an
erased lead was, as soon as that is asked for."""

import asyncio
import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote, quote_plus, unquote_plus
from uuid import UUID

import idna
import structlog

from services.ingest.handler.intake import read_request
from services.ingest.metrics import Metrics
from services.ingest.store.identities import TRIM_ROWS, IdentityStore
from services.ingest.store.receipts import ReceiptStore
from shared.clock import Clock
from shared.db.faults import DATABASE_ERRORS
from shared.secret_box import SecretBox, WrongSecretKey

log = structlog.get_logger()

PAUSE_SECONDS = 60.0
LOOK_SECONDS = 1.0
OPENED_AT_ONCE = 200
_DIGITS = re.compile(r"\d+", re.ASCII)
_JSON_ESCAPES = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+")
# What stands before a number may end in digits all the same: an escape of a form, or of JSON.
_NUMBER = r"(?:(?<![0-9])|(?<=%[0-9a-f]{{2}})|(?<=\\u[0-9a-f]{{4}})){}(?![0-9])"
# A commit that was under way may have written another identifier of the lead: a minute long they are deleted again.
ASKED = """SELECT lead_id FROM api.published_erasures WHERE requested_at > $1::timestamptz - interval '1 minute'"""
MISSED = """SELECT lead_id FROM api.published_erasures r
WHERE NOT EXISTS (SELECT FROM ingest.erased e WHERE e.lead_id = r.lead_id)"""


class Forgetting:
    """Runs until cancelled."""

    def __init__(self, store: IdentityStore, pool: Any, clock: Clock, days: int, metrics: Metrics) -> None:
        self._store = store
        self._pool = pool
        self._clock = clock
        self._days = days
        self._metrics = metrics

    async def run(self) -> None:
        while True:
            try:
                forgotten = await self._store.forget(self._pool, self._clock.now(), self._days)
            except DATABASE_ERRORS as error:
                log.warning("forgetting_retried", service="ingest", kind=type(error).__name__)
                forgotten = 0
            self._metrics.seen_trimmed.inc(forgotten)
            if forgotten < TRIM_ROWS:
                await asyncio.sleep(PAUSE_SECONDS)


class Files(Protocol):
    """What sources sent as files."""

    async def drop(self, lead_ids: Sequence[UUID]) -> None:
        """Everything in them that is of these leads."""


class Erasures:
    """Runs until cancelled, in every process: each has addresses in memory. Heard of again, one is a new lead's."""

    def __init__(self, store: IdentityStore, receipts: ReceiptStore, files: Files, box: SecretBox, pool: Any) -> None:
        self._store = store
        self._receipts = receipts
        self._files = files
        self._box = box
        self._pool = pool
        self._looked_at: datetime | None = None

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except DATABASE_ERRORS as error:
                log.warning("erasing_retried", service="ingest", kind=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """At what was asked for since the last look; the first one, at all that nobody has done."""
        now = await self._pool.fetchval("SELECT now()")
        asked = (MISSED,) if self._looked_at is None else (ASKED, self._looked_at)
        lead_ids = [row[0] for row in await self._pool.fetch(*asked)]
        if lead_ids:
            await self._drop_kept(lead_ids)
            await self._files.drop(lead_ids)
            self._store.forget_leads(lead_ids)
            await self._store.erase(self._pool, lead_ids)
        self._looked_at = now

    async def _drop_kept(self, lead_ids: Sequence[UUID]) -> None:
        """Kept requests that mention one of these leads. They are sealed, so all of them are opened and read."""
        values = [value.lower() for value in await self._receipts.values_of(self._pool, lead_ids)]
        if not values:
            return
        last = UUID(int=0)
        while kept := await self._receipts.kept_after(self._pool, last, OPENED_AT_ONCE):
            last = kept[-1][0]
            if about := await asyncio.to_thread(_mentioning, kept, values, self._box):
                await self._receipts.drop(self._pool, about)


def _mentioning(kept: Sequence[tuple[UUID, str]], values: Sequence[str], box: SecretBox) -> list[UUID]:
    """Which of these mention one of the values. What can't be opened, nobody can read; it goes too."""
    wanted = mention_of(values)
    found = []
    for receipt_id, sealed in kept:
        try:
            request = box.open(sealed)
        except WrongSecretKey:
            found.append(receipt_id)
            continue
        if wanted.search(text_of(request)):
            found.append(receipt_id)
    return found


def text_of(request: str) -> str:
    """A kept request as text in which somebody can be found: its body as it came, and with the escapes of JSON, forms
    and XML read; in lower case and composed, as identifiers are kept."""
    sent = read_request(request, "")
    body = sent.body.decode("utf-8", "replace")
    unescaped = _JSON_ESCAPES.sub(lambda found: json.loads(f'"{found[0]}"'), body.replace("\\/", "/"))
    texts = (sent.path, *sent.headers.values(), body, unescaped, unquote_plus(body), html.unescape(body))
    return unicodedata.normalize("NFC", "\n".join(texts).lower())


def mention_of(values: Iterable[str]) -> re.Pattern[str]:
    """Finds one of these in a text in lower case, as it is or as it stands in a form. A number is not found within a
    longer one: the number of a contact stands in many a time of day."""
    spelled = spellings_of(values)
    forms = {form.lower() for value in spelled for form in (value, quote(value, safe=""), quote_plus(value))}
    return re.compile("|".join(_NUMBER.format(form) if _DIGITS.fullmatch(form) else re.escape(form) for form in forms))


def spellings_of(values: Iterable[str]) -> set[str]:
    """As they may stand in a text in lower case."""
    return {spelling.lower() for value in values for spelling in _spellings(value)}


def _spellings(value: str) -> Iterator[str]:
    """An email's domain is kept in ASCII, and may have come in letters."""
    yield value
    local, at, domain = value.rpartition("@")
    if at and "xn--" in domain:
        try:
            yield f"{local}@{idna.decode(domain)}"
        except idna.IDNAError:  # one that only IDNA 2003 takes
            yield f"{local}@{domain.encode().decode('idna')}"
