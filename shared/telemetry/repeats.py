"""Warnings that say the same again and again: while a database is away every loop of a process says so several times a
second, and a few lines a minute say it as well."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from structlog.typing import EventDict, WrappedLogger

SECONDS: Final = 60.0
TOLD_MAX: Final = 3
LINES_KEPT_MAX: Final = 1_000
# What differs between two lines that say the same.
_COUNTS: Final = frozenset({"timestamp", "failures"})

_Line = frozenset[tuple[str, str]]


@dataclass
class _Told:
    """Of one line: since when this minute runs, and how often the line was told and left out in it."""

    since: float
    times: int = 0
    left_out: int = 0


class Repeats:
    """A processor of structlog. Warnings that differ in their time and their `failures` alone are told three times a
    minute; the first of the next minute says in `repeated` how many were left out. No other line ever is."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lines: OrderedDict[_Line, _Told] = OrderedDict()

    def __call__(self, logger: WrappedLogger, name: str, fields: EventDict) -> EventDict:
        """Raises DropEvent for a line that is left out."""
        if fields.get("level") != "warning":
            return fields
        line = frozenset((key, str(value)) for key, value in fields.items() if key not in _COUNTS)
        now, told, left_out = self._monotonic(), self._lines.get(line), 0
        if told is None or now - told.since >= SECONDS:
            left_out = told.left_out if told else 0
            told = self._begin(line, now)
        if told.times >= TOLD_MAX:
            told.left_out += 1
            raise structlog.DropEvent
        told.times += 1
        return {**fields, "repeated": left_out} if left_out else fields

    def _begin(self, line: _Line, now: float) -> _Told:
        self._lines.pop(line, None)
        if len(self._lines) >= LINES_KEPT_MAX:
            self._lines.popitem(last=False)
        told = self._lines[line] = _Told(now)
        return told
