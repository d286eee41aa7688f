"""What is wrong with a document: where, at which line, what was found and what is allowed; all problems at once."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from shared.errors import InvalidDocument

Location = tuple[str | int, ...]
FOUND_LENGTH_MAX: Final = 80
PREFIX_LENGTH_MIN: Final = 3


class ParseProblem(NamedTuple):
    """A problem at a location relative to whatever is being parsed."""

    at: Location
    found: str
    allowed: str


class DocumentProblem(NamedTuple):
    """One problem of an accord; `line` is None where the document wasn't text."""

    path: str
    line: int | None
    found: str
    allowed: str

    def __str__(self) -> str:
        where = self.path or "the document"
        at = f"line {self.line}: " if self.line is not None else ""
        return f"{at}{where}: found {self.found}, allowed: {self.allowed}"


class InvalidAccord(InvalidDocument):
    """The accord has errors; `problems` holds all of them in the order of the document."""

    def __init__(self, problems: Sequence[DocumentProblem]) -> None:
        super().__init__(describe_problems(problems))
        self.problems = list(problems)


def shown(value: Any) -> str:
    """A value as a problem shows it: short, in the document's own words."""
    match value:
        case None:
            words = "nothing"
        case bool():
            words = "true" if value else "false"
        case str():
            words = f"the text {value!r}"
        case dict():
            words = "a mapping of " + ", ".join(str(key) for key in value) if value else "an empty mapping"
        case list():
            words = f"a list of {len(value)}"
        case _:
            words = str(value)
    return words if len(words) <= FOUND_LENGTH_MAX else words[: FOUND_LENGTH_MAX - 1] + "…"


def describe_problems(problems: Iterable[DocumentProblem]) -> str:
    """One line per problem, as `accord check` prints them."""
    return "\n".join(str(problem) for problem in problems)


def did_you_mean(word: Any, known: Iterable[str], also: Mapping[str, str] | None = None) -> str:
    """`did you mean x? ` for a near miss, else nothing: a beginning for the words that say what is allowed.

    Capitals don't matter, nor whether a word is cut short or goes on (`monday` for `mon`). `also` holds other words for
    known ones (`germany` for `DE`).
    """
    wanted = str(word).strip().casefold()
    meant = {other.casefold(): name for other, name in (also or {}).items()} | {name.casefold(): name for name in known}
    close = [wanted] if wanted in meant else difflib.get_close_matches(wanted, meant, n=1, cutoff=0.7)
    if not close and len(wanted) >= PREFIX_LENGTH_MIN:
        close = [name for name in meant if name.startswith(wanted) or (wanted.startswith(name) and len(name) > 2)]
    return f"did you mean `{meant[close[0]]}`? " if close and meant[close[0]] != word else ""


def path_of(location: Location) -> str:
    """`scoring.engagement.rules[2].half_life`."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path
