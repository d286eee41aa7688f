"""Stops a partition whose events are dead-lettered too often: a bad deploy, not bad data (DESIGN.md "Failure")."""

from dataclasses import dataclass, replace
from typing import Any

IN_A_ROW_MAX = 20
WINDOW_EVENTS = 1_000
IN_WINDOW_MAX = 50


class Stopped(Exception):
    """The breaker stopped this partition in the middle of a batch."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """How often the last events were dead-lettered. Stands in the ownership row, so it survives restarts.

    `applied` counts events since the first letter still in the window; `letters` are their numbers in that count.
    """

    in_a_row: int = 0
    applied: int = 0
    letters: tuple[int, ...] = ()
    is_stopped: bool = False
    release: str = ""

    def after_success(self, events: int) -> "Breaker":
        """The breaker after this many events were applied."""
        if not events or (not self.letters and not self.in_a_row):
            return self
        applied = self.applied + events
        letters = tuple(n for n in self.letters if applied - n < WINDOW_EVENTS)
        return replace(self, in_a_row=0, applied=applied if letters else 0, letters=letters)

    def after_dead_letter(self, release: str) -> "Breaker":
        """The breaker after one event was dead-lettered by this release."""
        applied = self.applied + 1
        letters = (*(n for n in self.letters if applied - n < WINDOW_EVENTS), applied)
        in_a_row = self.in_a_row + 1
        stopped = in_a_row > IN_A_ROW_MAX or len(letters) > IN_WINDOW_MAX
        return Breaker(in_a_row, applied, letters, stopped, release)

    def at_start(self, release: str) -> "Breaker":
        """A stop ends with a new release; the same release stays stopped until an operator resumes it."""
        return Breaker() if self.is_stopped and self.release != release else self

    def to_json(self) -> dict[str, Any]:
        if self == Breaker():
            return {}
        return {
            "in_a_row": self.in_a_row,
            "applied": self.applied,
            "letters": list(self.letters),
            "is_stopped": self.is_stopped,
            "release": self.release,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Breaker":
        return cls(**{**value, "letters": tuple(value.get("letters", ()))})
