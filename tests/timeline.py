"""Tests that read like the agreement: what happens when, and what must come of it between when and when.

After Alertmanager's acceptance tests. Times are seconds from the start of the timeline; a tolerance covers the machine.
Where workers share the machine all of it is played slower, the accord's clocks (`at_tempo`) and the tolerance with it.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from builders import eventually
from patience import PATIENCE
from running_accord import Caller

from shared.clock import SystemClock

TOLERANCE_SECONDS = 0.8
TEMPO = PATIENCE  # how many of the machine's seconds one of a timeline takes
_FRESH = 1e-3


def at_tempo(accord: str) -> str:
    """This document with its clocks of seconds as much longer as a timeline is."""
    return re.sub(r"\bwithin: (\d+)s\b", lambda found: f"within: {int(found[1]) * TEMPO}s", accord)


class Between(NamedTuple):
    """From when to when an outcome is expected."""

    start: float
    end: float


class Told(NamedTuple):
    """A verified webhook, and when it came."""

    at: float
    type: str
    who: str | None
    data: Mapping[str, Any]


class _Push(NamedTuple):
    at: float
    event: Mapping[str, Any]
    happened: float | None
    until: float | None


class _Wanted(NamedTuple):
    between: Between
    type: str
    who: str
    having: Mapping[str, Any]

    def is_met_by(self, told: Told) -> bool:
        in_time = self.between.start - _FRESH <= told.at <= self.between.end + TOLERANCE_SECONDS
        same = told.type == self.type and told.who == self.who
        return in_time and same and all(told.data.get(name) == value for name, value in self.having.items())


@dataclass
class Timeline:
    """Collect pushes and wishes, then `play`. `hear` is where the webhook receiver delivers."""

    caller: Caller
    told: list[Told] = field(default_factory=list)
    _pushes: list[_Push] = field(default_factory=list)
    _wanted: list[_Wanted] = field(default_factory=list)
    _started_at: float = 0.0

    def at(
        self,
        seconds: float,
        who: str,
        type: str,
        *,
        happened: float | None = None,
        until: float | None = None,
        **rest: Any,
    ) -> None:
        """This event is posted at this time. `happened` is when it occurred, if that was before; `until` is when a
        snooze ends."""
        self._pushes.append(_Push(seconds, {"type": type, "lead": {"email": who}, **rest}, happened, until))

    def want(self, between: Between, who: str, type: str, **having: Any) -> None:
        """Such a webhook must come once in this time, and never at another."""
        self._wanted.append(_Wanted(between, type, who, having))

    def hear(self, event: Mapping[str, Any]) -> None:
        data = event["data"]
        self.told.append(Told(self._now(), event["type"], data["lead"]["email"], data))

    async def play(self, until: float) -> None:
        """Pushes at the times given, and judges at the end."""
        self._started_at = asyncio.get_running_loop().time()
        for push in sorted(self._pushes, key=lambda push: push.at):
            await eventually(lambda at=push.at: self._now() >= at, within=push.at + 5)  # type: ignore[misc]
            answer = await self.caller.post("/v1/events", self._event(push))
            assert answer.status == 202, answer
        await eventually(lambda: self._now() >= until, within=until + 5)
        self._judge()

    def _event(self, push: _Push) -> dict[str, Any]:
        event = dict(push.event)
        if push.happened is not None:
            event["occurred_at"] = self._clock_time(push.happened)
        if push.until is not None:
            event["data"] = {**event.get("data", {}), "until": self._clock_time(push.until)}
        return event

    def _clock_time(self, seconds: float) -> str:
        at = SystemClock().now() + timedelta(seconds=(seconds - self._now()) * TEMPO)
        return at.isoformat()

    def _judge(self) -> None:
        kinds = {(wanted.type, wanted.who) for wanted in self._wanted} | {(told.type, told.who) for told in self.told}
        for type, who in sorted(kinds, key=str):
            wanted = [one for one in self._wanted if (one.type, one.who) == (type, who)]
            came = [one for one in self.told if (one.type, one.who) == (type, who)]
            missing = [one for one in wanted if sum(map(one.is_met_by, came)) != 1]
            assert not missing, f"not exactly once: {missing}; came: {came}"
            assert len(came) == len(wanted), f"{len(wanted)} of {type} for {who} wanted, came: {came}"

    def _now(self) -> float:
        return (asyncio.get_running_loop().time() - self._started_at) / TEMPO
