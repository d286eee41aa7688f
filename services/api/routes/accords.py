"""The accords on file. Proposing and signing come with a later release."""

from collections.abc import Mapping
from typing import Any

from services.api.routes.parts import Cursor, Limit, Parts, Registrar, keys_of
from services.api.schemas.accords import AccordBody, AccordItem
from services.api.schemas.lists import Page
from services.api.store.cursors import encode_cursor
from shared.http.problems import Problem

_VERSION_MAX = 2**31 - 1


class AccordRoutes:
    """Reads about accords."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def register(self, to: Registrar) -> None:
        to.add("GET /v1/accords", self.list_accords, summary="Versions of the accord", answer=Page[AccordItem])
        to.add("GET /v1/accords/{version}", self.show_accord, summary="One version", answer=AccordBody)

    async def list_accords(self, limit: Limit = 50, cursor: Cursor = None) -> Page[AccordItem]:
        keys = keys_of(cursor, "accords", (int,))
        rows = await self._parts.accord_store.page(keys, limit + 1)
        following = encode_cursor("accords", (rows[limit - 1]["version"],)) if len(rows) > limit else None
        return Page(items=[AccordItem(**_item(row)) for row in rows[:limit]], next=following)

    async def show_accord(self, version: str) -> AccordBody:
        row = None
        if version.isascii() and version.isdecimal() and len(version) <= 10 and int(version) <= _VERSION_MAX:
            row = await self._parts.accord_store.version(int(version))
        if row is None:
            raise Problem(404, "No such accord", "No version of the accord has this number.")
        return AccordBody(**_item(row), document=row["document"], source_text=row["source_text"])


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in ("version", "state", "effective_at", "signed_by", "created_at")}
    return {**shown, "sha256": bytes(row["sha256"]).hex()}
