"""What the routes of sources, subscriptions and keys share: pages of them, and answers that show a secret once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from services.api.routes.idempotency import Created
from services.api.routes.parts import Parts, keys_of
from services.api.store.configured import Noun
from services.api.store.cursors import encode_cursor

SECRET_BYTES = 32


async def page_of(
    parts: Parts, noun: Noun, id_type: type, limit: int, cursor: str | None
) -> tuple[list[Mapping[str, Any]], str | None]:
    """One page, the oldest first, and the cursor of the next one."""
    kind = noun.table.name
    rows = list(await parts.configured.page(noun, keys_of(cursor, kind, (datetime, id_type)), limit + 1))
    if len(rows) <= limit:
        return list(rows), None
    last = rows[limit - 1]
    return list(rows[:limit]), encode_cursor(kind, (last["created_at"], last[noun.id.name]))


def renamed(row: Mapping[str, Any], id_name: str) -> dict[str, Any]:
    return {**row, "id": row[id_name]}


def created(model: type[BaseModel], values: Mapping[str, Any], shown_once: Mapping[str, str]) -> Created:
    return Created(model(**values).model_dump(mode="json"), shown_once)
