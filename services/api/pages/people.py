"""Whose clocks these are: the leads of a page's rows, asked for together."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from services.api.pages.calls import path
from services.api.pages.visit import Visit

PEOPLE_MAX: Final = 500


async def people_of(visit: Visit, rows: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """By `lead_id` of the rows; without those that are no more, and empty for who may not read leads."""
    ids = list(dict.fromkeys(str(row["lead_id"]) for row in rows))[:PEOPLE_MAX]
    if not ids or not visit.may("leads:read"):
        return {}
    found = await visit.api.ask(path("leads"), id=ids, limit=PEOPLE_MAX)
    return {lead["id"]: lead for lead in (found or {"items": []})["items"]}
