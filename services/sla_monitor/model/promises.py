"""How promises on many leads are judged (ACCORD.md "Promises"): at the close of each open day whether they are behind,
when their period is settled whether they were kept, and what came in afterwards. Pure; who counts: entries.py."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from shared.agreement.compiled import CompiledAccord
from shared.agreement.promises import (
    PromisePeriod,
    Reached,
    Tally,
    counts_alike,
    is_behind,
    name_of,
    pace_of,
    period_after,
    period_at,
    reached_of,
    settles_at,
    state_of,
)
from shared.agreement.versions import Accords
from shared.events.envelope import derived_id
from shared.events.promises import PromiseBreached, PromiseCorrected, PromiseEvent, PromiseKept, PromiseWarned

# For so long after it was settled a period is still corrected.
CORRECTED_FOR: Final = timedelta(days=400)


class State(StrEnum):
    """`withdrawn`: the accord stopped promising it, or counts otherwise, before the period was over."""

    RUNNING = "running"
    KEPT = "kept"
    BREACHED = "breached"
    WITHDRAWN = "withdrawn"


class Judged(NamedTuple):
    """One promise in one period. `accord` is the version whose terms it is judged by: the last in effect before its
    end. Closes up to `judged_through` were judged; what was told last is `reached`, `numerator` and `denominator`."""

    promise: str
    since: datetime
    until: datetime
    accord: int
    state: State
    judged_through: datetime
    warned_at: datetime | None = None
    settled_at: datetime | None = None
    reached: float | None = None
    numerator: float | None = None
    denominator: float | None = None
    corrections: int = 0


class Turn(NamedTuple):
    """What has changed, and what is to be told of it."""

    judged: Sequence[Judged]
    events: Sequence[PromiseEvent]


Counted = Mapping[Judged, Tally]  # every period that is kept, with its counts


def announcement_id(event: PromiseEvent, corrections: int) -> UUID:
    """The same for the same announcement, however often it is decided."""
    discriminator = event.since.isoformat()
    if isinstance(event, PromiseCorrected):
        discriminator += f"/{corrections}"
    return derived_id(event.key, event.TYPE, discriminator)


def turn(
    counted: Counted, accords: Accords, *, now: datetime, read_through: datetime | None, is_mine: Callable[[str], bool]
) -> Turn:
    """Begins and withdraws periods, judges what is due and corrects what was settled. `read_through` is the moment up
    to which the line is known to be read: nothing later is judged; None judges nothing."""
    planned = {(row.promise, row.since): row for row in _planned(counted, accords, now, is_mine)}
    judged, events = dict(planned), []
    for known, tally in counted.items():
        row = planned.get((known.promise, known.since), known)
        row, event = _judge(row, tally, accords, now, read_through)
        if row != known:
            judged[row.promise, row.since] = row
        if event is not None:
            events.append(event)
    return Turn(list(judged.values()), events)


def due_at(row: Judged, accords: Accords) -> datetime | None:
    """When something is to be judged next; None once it is settled."""
    if row.state is not State.RUNNING:
        return None
    accord, promise, period = _terms(row, accords)
    settled = settles_at(promise, period)
    if promise.warn_at is None or row.warned_at is not None:
        return settled
    return min((at for at in _closes(accord, period) if at > row.judged_through), default=settled)


def _planned(
    rows: Iterable[Judged], accords: Accords, now: datetime, is_mine: Callable[[str], bool]
) -> Iterator[Judged]:
    """The periods that begin, that go on under a newer version, and that are no more."""
    accord = accords.at(now)
    known: dict[str, list[Judged]] = {}
    for row in rows:
        known.setdefault(row.promise, []).append(row)
    for promise_id in {*known, *filter(is_mine, accord.promises)}:
        yield from _planned_of(promise_id, known.get(promise_id, ()), accord, accords, now)


def _planned_of(
    promise_id: str, rows: Sequence[Judged], accord: CompiledAccord, accords: Accords, now: datetime
) -> Iterator[Judged]:
    last: Judged | None = None
    for row in sorted(rows, key=lambda row: row.since):
        going_on = row
        if row.state is State.RUNNING:
            in_force = accords.at(min(now, row.until - timedelta.resolution))
            if _counts_alike(row, in_force, accords):
                going_on = row._replace(accord=in_force.version)
            else:
                going_on = row._replace(state=State.WITHDRAWN)
            if going_on != row:
                yield going_on
        if going_on.state is not State.WITHDRAWN:
            last = going_on
    rule, zone = accord.promises.get(promise_id), accord.calendar.zone
    if rule is None:
        return
    if last is None or not _counts_alike(last, accord, accords):
        # It is judged from the first period on that it was promised in from the beginning.
        yield _begun(promise_id, period_after(period_at(rule.promise.per, now, zone), zone), accord, now)
        return
    while last.until <= now:
        last = _begun(promise_id, period_at(rule.promise.per, last.until, zone), accord, now)
        yield last


def _begun(promise_id: str, period: PromisePeriod, accord: CompiledAccord, now: datetime) -> Judged:
    return Judged(promise_id, period.since, period.until, accord.version, State.RUNNING, max(now, period.since))


def _counts_alike(row: Judged, accord: CompiledAccord, accords: Accords) -> bool:
    former = accords.version(row.accord)
    rule = accord.promises.get(row.promise)
    if rule is None or former.calendar.zone.key != accord.calendar.zone.key:
        return False
    return counts_alike(former.promises[row.promise].promise, rule.promise)


def _judge(
    row: Judged, tally: Tally, accords: Accords, now: datetime, read_through: datetime | None
) -> tuple[Judged, PromiseEvent | None]:
    if row.state in (State.KEPT, State.BREACHED):
        return _correct(row, tally, accords, now)
    if row.state is not State.RUNNING or read_through is None:
        return row, None
    accord, promise, period = _terms(row, accords)
    reached, settled = reached_of(promise, tally), settles_at(promise, period)
    if settled <= read_through:
        row = _told(row, reached)._replace(
            state=State(state_of(promise, period, reached.reached, settled)), settled_at=settled
        )
        event = PromiseKept if row.state is State.KEPT else PromiseBreached
        return row, event(**_data(row, reached, accords, settled))
    closes = [at for at in _closes(accord, period) if row.judged_through < at <= read_through]
    if promise.warn_at is None or row.warned_at is not None or not closes:
        return row, None
    row = row._replace(judged_through=closes[-1])
    if not is_behind(promise, reached.reached, pace_of(promise.at_least, period, accord.calendar, closes[-1])):
        return row, None
    row = row._replace(warned_at=closes[-1])
    return row, PromiseWarned(**_data(row, reached, accords, closes[-1]))


def _correct(row: Judged, tally: Tally, accords: Accords, now: datetime) -> tuple[Judged, PromiseEvent | None]:
    """Tells what changed of a settled period."""
    _, promise, period = _terms(row, accords)
    reached = reached_of(promise, tally)
    if (reached.numerator, reached.denominator) == (row.numerator, row.denominator):
        return row, None
    state = State(state_of(promise, period, reached.reached, settles_at(promise, period)))
    corrected = _told(row, reached)._replace(state=state, corrections=row.corrections + 1)
    former: dict[str, Any] = {"former_state": row.state.value, "former_reached": row.reached}
    return corrected, PromiseCorrected(**_data(corrected, reached, accords, now), **former)


def _told(row: Judged, reached: Reached) -> Judged:
    return row._replace(reached=reached.reached, numerator=reached.numerator, denominator=reached.denominator)


def _data(row: Judged, reached: Reached, accords: Accords, at: datetime) -> dict[str, Any]:
    accord, promise, period = _terms(row, accords)
    return {
        "promise": row.promise,
        "accord": row.accord,
        "of": promise.of,
        "period": name_of(period, accord.calendar.zone),
        "since": row.since,
        "until": row.until,
        "occurred_at": at,
        "state": row.state.value,
        "target": promise.at_least,
        "reached": reached.reached,
        "numerator": reached.numerator,
        "denominator": reached.denominator,
        "currency": accord.document.currency if reached.is_amount else None,
        "pace": pace_of(promise.at_least, period, accord.calendar, at).due,
        "warn_at": promise.warn_at,
    }


def _terms(row: Judged, accords: Accords) -> tuple[CompiledAccord, Any, PromisePeriod]:
    accord = accords.version(row.accord)
    promise = accord.promises[row.promise].promise
    return accord, promise, PromisePeriod(promise.per, row.since, row.until)


def _closes(accord: CompiledAccord, period: PromisePeriod) -> Iterator[datetime]:
    """From the second open day on; the end of the period is judged when it is settled."""
    closes = accord.calendar.closes(period.since, period.until)[1:]
    return (at for at in closes if at < period.until)
