"""Tests that read like the agreement: what happens when, and what must come of it how many seconds later.

After Alertmanager's acceptance tests. A lead's pushes are made in turn, each at its time or once what it waits for was
told. An outcome is held to the moment that it names, which the load of the machine does not move: so many seconds after
the push was received. Where workers share the machine all is slower, the accord's clocks (`at_tempo`) too.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from builders import eventually
from patience import PATIENCE
from running_accord import Caller

from shared.clock import SystemClock

TEMPO = PATIENCE  # how many of the machine's seconds one of a timeline takes


def at_tempo(accord: str) -> str:
    """This document with its clocks of seconds as much longer as a timeline is."""
    return re.sub(r"\bwithin: (\d+)s\b", lambda found: f"within: {int(found[1]) * TEMPO}s", accord)


class Told(NamedTuple):
    """A verified webhook, and when it came."""

    at: datetime
    type: str
    who: str | None
    data: Mapping[str, Any]

    @property
    def occurred_at(self) -> datetime:
        return datetime.fromisoformat(self.data["occurred_at"])


@dataclass
class Push:
    """What is posted of a lead. It was received between `sent_at` and `answered_at`."""

    seconds: float
    who: str
    event: Mapping[str, Any]
    after: "Wanted | None"
    happened: "Moment | None"
    until: float | None
    sent_at: datetime | None = None
    answered_at: datetime | None = None


class Moment(NamedTuple):
    """So many seconds after this push was sent."""

    push: Push
    seconds: float

    def at(self) -> datetime:
        assert self.push.sent_at is not None
        return self.push.sent_at + timedelta(seconds=self.seconds * TEMPO)


@dataclass(frozen=True)
class Wanted:
    """An outcome that must have occurred so many seconds after a push (or later, if it is none of a promise's own
    moments), and be told then or later."""

    push: Push
    seconds: float
    type: str
    having: Mapping[str, Any]
    or_later: bool = False

    def is_met_by(self, told: Told) -> bool:
        return (
            (told.type, told.who) == (self.type, self.push.who)
            and all(told.data.get(name) == value for name, value in self.having.items())
            and self._is_the_moment(told.occurred_at)
            and told.occurred_at <= told.at
        )

    def is_among(self, told: Iterable[Told]) -> bool:
        return any(map(self.is_met_by, told))

    def _is_the_moment(self, at: datetime) -> bool:
        sent_at, answered_at = self.push.sent_at, self.push.answered_at
        later = timedelta(seconds=self.seconds * TEMPO)
        if sent_at is None or answered_at is None:
            return False
        return sent_at + later <= at and (self.or_later or at <= answered_at + later)


@dataclass
class Timeline:
    """Collect pushes and wishes, then `play`. `hear` is where the webhook receiver delivers."""

    caller: Caller
    told: list[Told] = field(default_factory=list)
    _pushes: list[Push] = field(default_factory=list)
    _wanted: list[Wanted] = field(default_factory=list)
    _started_at: float = 0.0

    def at(
        self,
        seconds: float,
        who: str,
        type: str,
        *,
        after: Wanted | None = None,
        happened: Moment | None = None,
        until: float | None = None,
        **rest: Any,
    ) -> Push:
        """This event is posted at this time, once `after` was told. `happened` is when it occurred, if that was before;
        `until` says how many seconds a snooze takes."""
        event = {"type": type, "lead": {"email": who}, **rest}
        self._pushes.append(Push(seconds, who, event, after, happened, until))
        return self._pushes[-1]

    def want(self, push: Push, seconds: float, type: str, **having: Any) -> Wanted:
        """Such a webhook about the lead must come of this push, of so many seconds later; and no other of its type."""
        self._wanted.append(Wanted(push, seconds, type, having))
        return self._wanted[-1]

    def want_from(self, push: Push, seconds: float, type: str, **having: Any) -> Wanted:
        """As `want`; it happens when Accord has announced something, not sooner than so many seconds later."""
        self._wanted.append(Wanted(push, seconds, type, having, or_later=True))
        return self._wanted[-1]

    def hear(self, event: Mapping[str, Any]) -> None:
        data = event["data"]
        self.told.append(Told(SystemClock().now(), event["type"], data["lead"]["email"], data))

    async def play(self, until: float) -> None:
        """Makes all pushes, and judges when all has come, at this time at the earliest."""
        self._started_at = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for who in {push.who for push in self._pushes}:
                group.create_task(self._live([push for push in self._pushes if push.who == who]))
        await self._comes(until)
        for wanted in self._wanted:
            await self._is_told(wanted)
        self._judge()

    async def _live(self, pushes: Iterable[Push]) -> None:
        for push in pushes:
            await self._comes(push.seconds)
            if push.after is not None:
                await self._is_told(push.after)
            push.sent_at = SystemClock().now()
            answer = await self.caller.post("/v1/events", self._event(push))
            push.answered_at = SystemClock().now()
            assert answer.status == 202, answer

    async def _is_told(self, wanted: Wanted) -> None:
        try:
            await eventually(lambda: wanted.is_among(self.told))
        except AssertionError:
            came = [told for told in self.told if told.who == wanted.push.who]
            raise AssertionError(f"was not told: {wanted}; came: {came}") from None

    async def _comes(self, seconds: float) -> None:
        await eventually(lambda: self._now() >= seconds, within=seconds + 5)

    def _event(self, push: Push) -> dict[str, Any]:
        event = dict(push.event)
        if push.happened is not None:
            event["occurred_at"] = push.happened.at().isoformat()
        if push.until is not None:
            until = Moment(push, push.until).at().isoformat()
            event["data"] = {**event.get("data", {}), "until": until}
        return event

    def _judge(self) -> None:
        kinds = {(wanted.type, wanted.push.who) for wanted in self._wanted}
        for type, who in sorted(kinds | {(told.type, told.who) for told in self.told}, key=str):
            wanted = [one for one in self._wanted if (one.type, one.push.who) == (type, who)]
            came = [one for one in self.told if (one.type, one.who) == (type, who)]
            missing = [one for one in wanted if sum(map(one.is_met_by, came)) != 1]
            assert not missing, f"not exactly once: {missing}; came: {came}"
            assert len(came) == len(wanted), f"{len(wanted)} of {type} for {who} wanted, came: {came}"

    def _now(self) -> float:
        return (asyncio.get_running_loop().time() - self._started_at) / TEMPO
