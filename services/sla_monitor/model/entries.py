"""Who counts for the promises on many leads (ACCORD.md "Promises"): a lead's first entry into a stage in each period,
and what a change of its stage adds to the counts. Decided under the version of the accord that the change was."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from shared.agreement.compiled import CompiledAccord, alike
from shared.agreement.promises import WITH_AMOUNT, PromiseRule, Tally, is_amount, period_at, settles_at
from shared.agreement.versions import Accords
from shared.events.lifecycle import Stage, StageChanged

NOTHING = Tally(0, 0)


class Entry(NamedTuple):
    """A lead's first entry of a period into the stage that a promise looks at. `is_chosen`: the promise's `when` held;
    `is_counted`: it is of those whose share is promised. `amount` is None without one that can be added up."""

    lead_id: UUID
    promise: str
    since: datetime
    entered_at: datetime
    accord: int
    is_chosen: bool
    is_counted: bool
    amount: float | None = None
    is_other_currency: bool = False


Known = Mapping[tuple[str, datetime], Entry]  # a lead's entries, by promise and period
Place = tuple[str, datetime]


class Move(NamedTuple):
    """An entry as it is from now on, and what that adds to the counts of its promise and period."""

    entry: Entry
    adds: Tally


def is_looked_at(moved: StageChanged, accord: CompiledAccord, accords: Accords) -> bool:
    """Whether any promise looks at this change: whoever asks first is spared a look at the tables."""
    stage = moved.to_stage.value
    if _counts_for_nothing(moved):
        return False
    return bool(accord.promises_on(stage)) or any(version.reached_by(stage) for version in accords.all)


def entries_after(known: Known, moved: StageChanged, accord: CompiledAccord, accords: Accords) -> list[Move]:
    """What this change of its stage makes of a lead's entries."""
    if _counts_for_nothing(moved):
        return []
    moves = [
        Move(reached := entry._replace(is_counted=True), _difference(reached, entry))
        for entry in known.values()
        if not entry.is_counted and _reaches(entry, moved, accords)
    ]
    zone = accord.calendar.zone
    for rule in accord.promises_on(moved.to_stage.value):
        since = period_at(rule.promise.per, moved.occurred_at, zone).since
        # A period that began under other terms is judged by those, or not at all.
        if (rule.promise.id, since) not in known and alike(rule.promise.id, accord, accords.at(since)):
            entry = _entry(rule, since, moved, accord)
            moves.append(Move(entry, counted_of(entry)))
    return moves


def counted_of(entry: Entry) -> Tally:
    """What an entry is in the counts."""
    if not entry.is_chosen:
        return NOTHING
    amount = entry.amount or 0.0
    return Tally(1, int(entry.is_counted), amount, amount if entry.is_counted else 0.0, int(entry.is_other_currency))


def added_up(moves: Iterable[Move]) -> dict[Place, Tally]:
    """What these moves add, by promise and period; nothing where that is nothing."""
    sums: dict[Place, Tally] = {}
    for entry, adds in moves:
        place = entry.promise, entry.since
        sums[place] = Tally._make(map(sum, zip(sums.get(place, NOTHING), adds, strict=True)))
    return {place: tally for place, tally in sums.items() if any(tally)}


def _counts_for_nothing(moved: StageChanged) -> bool:
    """An implied mql is neither a start nor an end."""
    return moved.implied and moved.to_stage is Stage.MQL


def _entry(rule: PromiseRule, since: datetime, moved: StageChanged, accord: CompiledAccord) -> Entry:
    promise = rule.promise
    facts = accord.facts(
        engagement=moved.engagement,
        fit=moved.fit,
        grade=moved.grade,
        stage=rule.stage,
        owner=moved.owner,
        lead=moved.lead,
    )
    is_sold = promise.sourced_by is not None and promise.share_of in WITH_AMOUNT and is_amount(moved.amount)
    return Entry(
        lead_id=moved.lead_id,
        promise=promise.id,
        since=since,
        entered_at=moved.occurred_at,
        accord=accord.version,
        is_chosen=rule.when(facts),
        is_counted=promise.that_reached is None and promise.sourced_by in (None, moved.lead.first_team),
        amount=moved.amount if is_sold else None,
        is_other_currency=is_sold and moved.currency != accord.document.currency,
    )


def _reaches(entry: Entry, moved: StageChanged, accords: Accords) -> bool:
    """Whether the lead came, in time, as far as the promise asks for."""
    accord = accords.version(entry.accord)
    promise = accord.promises[entry.promise].promise
    if promise.that_reached is not moved.to_stage:
        return False
    period = period_at(promise.per, entry.entered_at, accord.calendar.zone)
    # It is settled as the version says that judges it, which is known once the period is over.
    judging = accords.at(min(moved.occurred_at, period.until - timedelta.resolution))
    if alike(entry.promise, accord, judging):
        promise = judging.promises[entry.promise].promise
    return moved.occurred_at < settles_at(promise, period)


def _difference(now: Entry, before: Entry) -> Tally:
    return Tally._make(new - old for new, old in zip(counted_of(now), counted_of(before), strict=True))
