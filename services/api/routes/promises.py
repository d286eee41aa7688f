"""Promises on many leads: how each one of the accord in force stands, counted when it is asked for."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.api.routes.parts import Cursor, Limit, Parts, Registrar, keys_of
from services.api.schemas.clocks import Interval
from services.api.schemas.lists import Page
from services.api.schemas.promises import Promise, PromisePeriod
from services.api.store.cursors import Keys, encode_cursor
from services.api.store.promises import PromiseStore
from shared.agreement import document_sla, promises
from shared.agreement.compiled import CompiledAccord
from shared.agreement.conditions import Condition, compile_condition, tests_of
from shared.agreement.versions import Accords

_KIND: Final = "promises"
# Whose `when` is judged at once: so few that other requests of this process hardly wait for it.
_LEADS_MAX: Final = 100

Told = Mapping[tuple[str, datetime], Any]
Asked = tuple[document_sla.Promise, promises.PromisePeriod]


class PromiseRoutes:
    """Reads about promises."""

    def __init__(self, parts: Parts, store: PromiseStore) -> None:
        self._parts = parts
        self._store = store

    def register(self, to: Registrar) -> None:
        summary = "How promises on many leads stand, in this period and the one before"
        to.add("GET /v1/promises", self.list_promises, summary=summary, answer=Page[Promise])

    async def list_promises(self, limit: Limit = 50, cursor: Cursor = None) -> Page[Promise]:
        """Of the accord in force, by id: each in the period that runs, then in the one before."""
        accords, now = await self._parts.accords(), self._parts.clock.now()
        accord = accords.at(now)
        asked = list(_asked(accord, now, keys_of(cursor, _KIND, (str, datetime))))
        following = None
        if len(asked) > limit:
            promise, period = asked[limit - 1]
            following = encode_cursor(_KIND, (promise.id, period.since))
        told = await self._told(asked[:limit])
        items = [await self._item(accords, accord, one, now, told) for one in asked[:limit]]
        return Page(items=items, next=following)

    async def _told(self, asked: Sequence[Asked]) -> Told:
        if not asked:
            return {}
        since = min(period.since for _, period in asked)
        return await self._store.told(sorted({promise.id for promise, _ in asked}), since)

    async def _item(self, accords: Accords, accord: CompiledAccord, asked: Asked, now: datetime, told: Told) -> Promise:
        promise, period = asked
        currency = accord.document.currency
        chosen = None if promise.when is None else await self._chosen(accords, asked, promise.when)
        tally = await self._store.tally(promise, period, currency=currency, chosen=chosen)
        reached = promises.reached_of(promise, tally)
        return Promise(
            promise=promise.id,
            accord=accord.version,
            **_terms(accord, promise),
            **_standing(accord, asked, reached, now),
            reached=reached.reached,
            numerator=reached.numerator,
            denominator=reached.denominator,
            measure="amount" if reached.is_amount else "leads",
            currency=currency if reached.is_amount else None,
            falls_back_to_counts=reached.falls_back_to_counts,
            told=told.get((promise.id, period.since)),
        )

    async def _chosen(self, accords: Accords, asked: Asked, when: Condition) -> list[UUID]:
        """The leads for which `when` held at their entry."""
        promise, period = asked
        stage = promise.counts or promise.share_of
        holds, fields = compile_condition(when), {test.field for test in tests_of(when)}
        chosen: list[UUID] = []
        entered = await self._store.entered(promise, period)
        for first in range(0, len(entered), _LEADS_MAX):
            some = entered[first : first + _LEADS_MAX]
            facts = await self._store.facts(accords, some, stage, asks_engagement="engagement" in fields)
            chosen += [lead.lead_id for lead, of in zip(some, facts, strict=True) if holds(of)]
        return chosen


def _asked(accord: CompiledAccord, now: datetime, keys: Keys | None) -> Iterator[Asked]:
    """What stands behind these keys in the list."""
    zone = accord.calendar.zone
    for promise in sorted(accord.document.sla.promises, key=lambda promise: promise.id):
        running = promises.period_at(promise.per, now, zone)
        for period in (running, promises.period_before(running, zone)):
            if keys is None or promise.id > keys[0] or (promise.id == keys[0] and period.since < keys[1]):
                yield promise, period


def _terms(accord: CompiledAccord, promise: document_sla.Promise) -> dict[str, Any]:
    """What it says."""
    written = next(one for one in accord.document.as_written()["sla"]["promises"] if one["id"] == promise.id)
    names = ("of", "counts", "share_of", "sourced_by", "that_reached", "warn_at")
    return {"when": written.get("when"), "target": promise.at_least, **{name: getattr(promise, name) for name in names}}


def _standing(accord: CompiledAccord, asked: Asked, reached: promises.Reached, now: datetime) -> dict[str, Any]:
    """Where it is in its period, and what would be due."""
    promise, period = asked
    pace = promises.pace_of(promise.at_least, period, accord.calendar, now)
    pieces = accord.calendar.working(period.since, period.until)
    is_judged = promise.warn_at is not None and now < period.until
    return {
        "period": PromisePeriod(**period._asdict()),
        "state": promises.state_of(promise, period, reached.reached, now),
        "settles_at": promises.settles_at(promise, period),
        "pace": pace.due,
        "open_seconds_elapsed": pace.open_elapsed.total_seconds(),
        "open_seconds": pace.open_total.total_seconds(),
        "behind": promises.is_behind(promise, reached.reached, pace) if is_judged else None,
        "working": [Interval(from_=from_, to=to, counted=counted, why=why) for from_, to, counted, why in pieces],
    }
