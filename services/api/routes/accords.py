"""The versions of the accord as they stand: listed, shown, compared."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Query

from services.api.routes.numbers import is_whole
from services.api.routes.parts import Cursor, Limit, Parts, Registrar, invalid, keys_of
from services.api.schemas.accords import (
    EXAMPLE,
    EXAMPLE_DIFFERENCE,
    EXAMPLE_RESCORE,
    AccordBody,
    AccordItem,
    ChangeBody,
    DifferenceBody,
    RescoreBody,
    Signature,
)
from services.api.schemas.lists import Page
from services.api.store.accords import BOOTSTRAP
from services.api.store.cursors import encode_cursor
from shared.agreement.difference import differences
from shared.agreement.loading import read_accord
from shared.http.problems import Problem

VERSION_MAX: Final = 2**31 - 1
_NOT_BY_PEOPLE: Final = "put in effect at the first start; not signed by people"

From = Annotated[
    str | None, Query(alias="from", max_length=20, description="A version's number; else the signed one before it.")
]


def example(value: Any) -> dict[int | str, dict[str, Any]]:
    """An example of the answer, for the OpenAPI document."""
    return {200: {"content": {"application/json": {"example": value}}}}


_EXAMPLE_WHOLE: Final[dict[str, Any]] = {
    "document": {"accord": 1},
    "source_text": "…",
    "difference": EXAMPLE_DIFFERENCE,
    "rescore": EXAMPLE_RESCORE,
}


class AccordRoutes:
    """Reads about accords."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def register(self, to: Registrar) -> None:
        to.add(
            "GET /v1/accords",
            self.list_accords,
            summary="Versions of the accord, the newest first",
            answer=Page[AccordItem],
            also=example({"items": [EXAMPLE], "next": None}),
        )
        to.add(
            "GET /v1/accords/{version}",
            self.show_accord,
            summary="One version: its state as of now, who signed it, and what it changes",
            answer=AccordBody,
            also=example({**EXAMPLE, **_EXAMPLE_WHOLE}),
        )
        to.add(
            "GET /v1/accords/{version}/difference",
            self.show_difference,
            summary="What one version does differently from another, in words",
            answer=DifferenceBody,
            also=example(EXAMPLE_DIFFERENCE),
        )

    async def list_accords(self, limit: Limit = 50, cursor: Cursor = None) -> Page[AccordItem]:
        keys = keys_of(cursor, "accords", (int,))
        rows = await self._parts.accord_store.page(keys, limit + 1)
        following = encode_cursor("accords", (rows[limit - 1]["version"],)) if len(rows) > limit else None
        return Page(items=[AccordItem(**item_of(row)) for row in rows[:limit]], next=following)

    async def show_accord(self, version: str) -> AccordBody:
        row = await self._row(version)
        before = await self._parts.accord_store.before(row["version"])
        rescore = await self._parts.accord_store.rescore(row["version"])
        return AccordBody(
            **whole(row),
            difference=await difference_of(before, row),
            rescore=None if rescore is None else RescoreBody(**{n: rescore[n] for n in RescoreBody.model_fields}),
        )

    async def show_difference(self, version: str, from_: From = None) -> DifferenceBody:
        row = await self._row(version)
        if from_ is None:
            before = await self._parts.accord_store.before(row["version"])
        else:
            number = number_of(from_)
            before = await self._parts.accord_store.version(number) if number else None
            if before is None:
                raise invalid("from", "must be the number of a version on file")
        found = await difference_of(before, row)
        if found is None:
            raise invalid("from", "is required: no version was signed before this one")
        return found

    async def _row(self, version: str) -> Mapping[str, Any]:
        number = number_of(version)
        row = await self._parts.accord_store.version(number) if number else None
        if row is None:
            raise no_such_version()
        return row


def number_of(version: str) -> int | None:
    """The number that a path or a query spells; None if it can't be one."""
    is_number = is_whole(version) and len(version) <= 10
    return int(version) if is_number and 0 < int(version) <= VERSION_MAX else None


def no_such_version() -> Problem:
    return Problem(404, "No such accord", "No version of the accord has this number.")


def item_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of a version everywhere."""
    names = ("version", "state", "effective_at", "proposed_by", "withdrawn_by", "withdrawn_at", "created_at")
    shown = {name: row[name] for name in names}
    return {**shown, "sha256": row["sha256"].hex(), "signatures": [_signature(found) for found in row["signatures"]]}


def whole(row: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of a version alone."""
    return {**item_of(row), "document": row["document"], "source_text": row["source_text"]}


async def difference_of(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> DifferenceBody | None:
    """What changes between two rows; None without a version to compare with. Reading big documents blocks nobody."""
    if before is None:
        return None
    changes = await asyncio.to_thread(changes_of, before["document"], after["document"])
    return DifferenceBody(from_version=before["version"], to_version=after["version"], changes=changes)


def changes_of(before: Any, after: Any) -> list[ChangeBody]:
    """What the second document does differently from the first, both valid."""
    found = differences(read_accord(before), read_accord(after))
    return [ChangeBody(path=change.path, words=change.words) for change in found]


def _signature(row: Mapping[str, Any]) -> Signature:
    is_person = row["side"] != BOOTSTRAP
    return Signature(
        role=row["side"] if is_person else None,
        is_person=is_person,
        note=None if is_person else _NOT_BY_PEOPLE,
        sha256=row["sha256"].hex(),
        **{name: row[name] for name in ("signed_by", "key_id", "signed_at", "effective_at")},
    )
