"""Events on accord.sla.v1 about promises on many leads: which is behind, and which was kept or broken in its period."""

from typing import ClassVar, Final
from uuid import UUID

from shared.events.base import Data, Instant
from shared.events.envelope import named_id

_PROMISES: Final = UUID("31f5e3c2-c467-432f-b51f-1b87cbdf4feb")


def promise_key(promise: str) -> UUID:
    """uuid5 of the promise's id, in a namespace of Accord's own: the key and subject of all events about it."""
    return named_id(_PROMISES, promise)


class PromiseEvent(Data, frozen=True, kw_only=True):
    """The common data of all promise events. `period` names it as `2026-W48`, `2026-11` or `2026-Q4`; `since` is its
    first instant, `until` that of the next one. `target` and `reached` are a count, or a share such as 0.4, which is
    that of `numerator` in `denominator`: leads, or an amount in `currency`. `pace` is what would be due by
    `occurred_at`: the target, pro rata of the open hours. Of a correction `former_state` and `former_reached` are what
    was told before."""

    promise: str
    accord: int
    of: str
    period: str
    since: Instant
    until: Instant
    occurred_at: Instant
    state: str
    target: int | float
    reached: int | float | None
    numerator: int | float
    denominator: int | float | None = None
    currency: str | None = None
    pace: float
    warn_at: float | None = None
    former_state: str | None = None
    former_reached: int | float | None = None

    @property
    def key(self) -> UUID:
        """The key and the subject of the event."""
        return promise_key(self.promise)


class PromiseWarned(PromiseEvent, frozen=True, kw_only=True):
    """At the close of an open day less was reached than the agreed share of the pace."""

    TYPE: ClassVar[str] = "accord.promise.warned"


class PromiseKept(PromiseEvent, frozen=True, kw_only=True):
    """The period is settled, and the target was reached."""

    TYPE: ClassVar[str] = "accord.promise.kept"


class PromiseBreached(PromiseEvent, frozen=True, kw_only=True):
    """The period is settled, and the target was missed."""

    TYPE: ClassVar[str] = "accord.promise.breached"


class PromiseCorrected(PromiseEvent, frozen=True, kw_only=True):
    """What came in after the period was settled changed what was reached."""

    TYPE: ClassVar[str] = "accord.promise.corrected"
