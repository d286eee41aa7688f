"""A sentence, a chapter of them, and how values of the document are said in one."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

_UNITS: Final = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))
_SECOND: Final = timedelta(seconds=1)


class Sentence(NamedTuple):
    """`path` is the place of the document that it says, `name` what the document calls it; `text` is the sentence."""

    path: str
    text: str
    name: str | None = None


class Chapter(NamedTuple):
    """What belongs together. `id` is for addresses."""

    id: str
    title: str
    sentences: tuple[Sentence, ...]


def listing(words: Sequence[str], joint: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`: all of them, however many there are."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {joint} {words[-1]}"


def counted(number: int, noun: str) -> str:
    """`1 point`, `1,200 points`."""
    return f"{number:,} {noun}" if abs(number) == 1 else f"{number:,} {noun}s"


def span(length: timedelta, *, is_business: bool = False) -> str:
    """`30 days`, `90 minutes`: in the largest unit that it is a whole number of.

    Of open hours a day has no fixed number, so they are said in hours at most: `16 open hours`.
    """
    kind = "open " if is_business else ""
    for unit, size in _UNITS[1:] if is_business else _UNITS:
        if length and not length % size:
            return counted(length // size, f"{kind}{unit}")
    return counted(length // _SECOND, f"{kind}second")


def any_span(length: timedelta) -> str:
    """A length after `any` or `the`: `7 days`, `day`."""
    return span(length).removeprefix("1 ")


def percent(share: float) -> str:
    """`75%`. Twelve digits keep 57% from being 56.99999999999999%."""
    return f"{share * 100:.12g}%"


def quoted(text: str) -> str:
    """A name that somebody chose, in quotes unless it can't be taken for anything else."""
    return text if text and all(c.isalnum() or c in "/._@-" for c in text) else f"“{text}”"


def spoken(name: str) -> str:
    """An activity or a reason as it is spoken: `page.viewed` is “page viewed”."""
    return f"“{name.replace('.', ' ').replace('_', ' ')}”"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
