"""Leads as CSV for spreadsheets. A cell never becomes a formula there, whatever a web form was filled in with. Pure."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

Lead = Mapping[str, Any]
# What spreadsheets take for the beginning of a formula; a quote before it makes them take it for text.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# Spreadsheets take a file for UTF-8 by this mark alone.
BYTE_ORDER_MARK: Final = "\ufeff"


def _of_profile(field: str) -> Callable[[Lead], Any]:
    return lambda lead: lead["profile"].get(field)


def _of_due(field: str) -> Callable[[Lead], Any]:
    return lambda lead: (lead["due"] or {}).get(field)


def _of_lead(field: str) -> Callable[[Lead], Any]:
    return lambda lead: lead[field]


COLUMNS: Final[Mapping[str, Callable[[Lead], Any]]] = {
    "id": _of_lead("id"),
    "email": _of_lead("email"),
    "name": _of_profile("name"),
    "title": _of_profile("title"),
    "company": _of_profile("company"),
    "stage": _of_lead("stage"),
    "stage_entered_at": _of_lead("stage_entered_at"),
    "owner": _of_lead("owner"),
    "team": _of_lead("team"),
    "engagement": lambda lead: round(lead["engagement"], 2),
    "fit": _of_lead("fit"),
    "grade": _of_lead("grade"),
    "source": _of_lead("source"),
    "first_source": _of_lead("first_source"),
    "campaign": _of_lead("campaign"),
    "due": _of_due("rule"),
    "deadline": _of_due("deadline"),
    "updated_at": _of_lead("updated_at"),
}


def header() -> str:
    return _lines([COLUMNS])


def rows(leads: Iterable[Lead]) -> str:
    return _lines([cell(of(lead)) for of in COLUMNS.values()] for lead in leads)


def cell(value: Any) -> Any:
    """Numbers stay numbers, negative ones too."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    text = str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _lines(lines: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue()
