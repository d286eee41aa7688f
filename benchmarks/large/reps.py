"""What sales does about its leads over weeks: most reps act within their promises, some late, some never. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple

from services.simulate.reps import CHANNELS, REJECTIONS
from shared.agreement.calendar import BusinessCalendar
from shared.events.sales import Action

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(hours=8)  # of open hours
_ATTENTIVE_SHARE: Final = 0.82
_TOLD_LATE_SHARE: Final = 0.03


class Deed(NamedTuple):
    """A sales action, and when the CRM told it."""

    occurred_at: datetime
    received_at: datetime
    action: Action
    fields: dict[str, Any]


class Reps:
    """All of sales."""

    def __init__(self, random: Random, calendar: BusinessCalendar) -> None:
        self._random = random
        self._calendar = calendar

    def react(self, at: datetime, owner: str | None) -> Iterator[Deed]:
        """What becomes of a lead that qualified then. What nobody owns somebody takes, as often as not."""
        random = self._random
        if owner is None:
            if random.random() < 0.5:
                return
            at = self._after(at, _DAY * 2 * random.random())
            yield self._deed(at, Action.ASSIGNED, owner=f"commercial.{random.randint(1, 30):02}@sales.example")
        if random.random() < _ATTENTIVE_SHARE:
            yield from self._work(at)
        elif random.random() < 0.6:
            yield self._contact(self._after(at, _HOUR * random.uniform(2, 20)))

    def take_over(self, at: datetime) -> Iterator[Deed]:
        """What the next owner does about a lead that an escalation took from the last one."""
        if self._random.random() < 0.8:
            yield self._contact(self._after(at, _HOUR * self._random.expovariate(2.0)))

    def _contact(self, at: datetime) -> Deed:
        """A touch; now and then the CRM tells it a day later."""
        return self._deed(at, Action.CONTACTED, channel=self._random.choice(CHANNELS))

    def _work(self, at: datetime) -> Iterator[Deed]:
        random = self._random
        at = self._after(at, _HOUR * random.expovariate(3.0))
        yield self._contact(at)
        at = self._after(at, _DAY * random.expovariate(1.5))
        if random.random() < 0.25:
            yield self._deed(at, Action.REJECTED, reason=random.choice(REJECTIONS))
            return
        yield self._deed(at, Action.ACCEPTED)
        if random.random() < 0.25:
            return
        at = self._after(at, _DAY * random.expovariate(0.3))
        yield self._deed(at, Action.QUALIFIED)
        if random.random() < 0.15:
            yield self._deed(self._after(at, _HOUR), Action.SNOOZED, until=at + timedelta(days=random.uniform(2, 12)))
        if random.random() < 0.3:
            return
        at = self._after(at, _DAY * random.expovariate(0.2))
        deal = {"amount": float(random.randrange(4_000, 90_000, 500)), "currency": "USD"}
        yield self._deed(at, Action.OPPORTUNITY_OPENED, **deal)
        yield self._contact(self._after(at, _DAY * 3))
        ending = random.random()
        at = self._after(at, _DAY * random.expovariate(0.05))
        if ending < 0.35:
            yield self._deed(at, Action.WON, **deal)
        elif ending < 0.75:
            yield self._deed(at, Action.LOST, reason=random.choice(("price", "competitor", "no decision")))

    def _after(self, at: datetime, open_time: timedelta) -> datetime:
        return self._calendar.deadline(at, open_time) if open_time else at

    def _deed(self, at: datetime, action: Action, **fields: Any) -> Deed:
        random = self._random
        late = timedelta(hours=26) if random.random() < _TOLD_LATE_SHARE else timedelta(seconds=random.uniform(0.5, 3))
        return Deed(at, at + late, action, fields)
