"""How promises on many leads are judged (ACCORD.md "Promises"): at the close of each open day whether they are behind,
when their period is settled whether they were kept, and what came in afterwards. Pure; who counts: entries.py."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from shared.agreement.compiled import CompiledAccord, alike
from shared.agreement.promises import (
    PromisePeriod,
    Reached,
    Tally,
    is_behind,
    name_of,
    pace_of,
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
    following = accords.following(accord.version)
    known: dict[str, list[Judged]] = {}
    for row in rows:
        known.setdefault(row.promise, []).append(row)
    promised = {*accord.promises, *(following.promises if following else ())}
    for promise_id in {*known, *filter(is_mine, promised)}:
        yield from _planned_of(promise_id, known.get(promise_id, ()), accords, now)


def _planned_of(promise_id: str, rows: Sequence[Judged], accords: Accords, now: datetime) -> Iterator[Judged]:
    last: Judged | None = None
    for row in sorted(rows, key=lambda row: row.since):
        going_on = _going_on(row, accords, now)
        if going_on != row:
            yield going_on
        # What was withdrawn is not gone on with, whatever was judged before it.
        last = None if going_on.state is State.WITHDRAWN else going_on
    while last is not None and last.until <= now:
        last = _next(last, accords, now)
        if last is not None:
            yield last
    if last is None:
        yield from _first(promise_id, accords, now)
    yield from _coming(promise_id, last, accords, now)


def _going_on(row: Judged, accords: Accords, now: datetime) -> Judged:
    """The same period by the last version so far."""
    if row.state is not State.RUNNING:
        return row
    in_force = accords.at(min(max(now, row.since), row.until - timedelta.resolution))
    former = accords.version(row.accord)
    # Also those that nobody looked under: who entered then was not counted for it.
    if not all(
        alike(row.promise, former, version) for version in (in_force, *accords.since(row.accord, in_force.version))
    ):
        return row._replace(state=State.WITHDRAWN)
    return row._replace(accord=in_force.version)


def _next(row: Judged, accords: Accords, now: datetime) -> Judged | None:
    """The period after one that is over, if it begins with the same promise."""
    in_force = accords.at(row.until)
    if not alike(row.promise, accords.version(row.accord), in_force):
        return None
    return _begun(row.promise, row.until, in_force, now)


def _first(promise_id: str, accords: Accords, now: datetime) -> Iterator[Judged]:
    """The first period that it is promised in from the beginning."""
    accord = accords.at(now)
    if promise_id not in accord.promises:
        return
    since = period_at(accord.promises[promise_id].promise.per, now, accord.calendar.zone).until
    if alike(promise_id, accord, in_force := accords.at(since)):
        yield _begun(promise_id, since, in_force, now)


def _coming(promise_id: str, last: Judged | None, accords: Accords, now: datetime) -> Iterator[Judged]:
    """The period that begins in the moment in which the next version comes into effect, if that promises it anew."""
    following = accords.following(accords.at(now).version)
    if following is None or promise_id not in following.promises:
        return
    since = accords.effective_at(following.version)
    is_known = last is not None and (last.since >= since or alike(promise_id, accords.version(last.accord), following))
    begun = _begun(promise_id, since, following, now)
    if not is_known and begun.since == since:
        yield begun


def _begun(promise_id: str, at: datetime, accord: CompiledAccord, now: datetime) -> Judged:
    """The period that this instant lies in."""
    period = period_at(accord.promises[promise_id].promise.per, at, accord.calendar.zone)
    return Judged(promise_id, *period[1:], accord.version, State.RUNNING, max(now, period.since))


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
