"""Idempotency-Key: a repeat gives the first answer, secrets excepted. Keys belong to the caller's own key."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from fastapi import Request
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.routes.parts import Parts, principal_of
from services.api.store.idempotency import Answer, IdempotentCall, KeyReused
from shared.http.problems import FieldError, Problem


class Created(NamedTuple):
    """What was made, as JSON values; and its secrets, shown this once."""

    body: Mapping[str, Any]
    secrets: Mapping[str, str]


def idempotent_call(parts: Parts, request: Request, raw: bytes, key: str | None) -> IdempotentCall | None:
    """The call as the store knows it; None without a key."""
    if key is None:
        return None
    asked = f"{request.method} {request.url.path}\n".encode() + raw
    not_before = parts.clock.now() - timedelta(hours=parts.settings.idempotency_hours)
    return IdempotentCall(principal_of(request).key_id, key, hashlib.sha256(asked).digest(), not_before)


async def create_once(
    parts: Parts,
    call: IdempotentCall | None,
    create: Callable[[AsyncConnection], Awaitable[Created]],
    *,
    status: int = 201,
) -> JSONResponse:
    """Creates in one transaction with the kept answer, or gives the first answer. Raises Problem 422."""
    async with parts.idempotency.database.transaction() as connection:
        first = await _claim(parts, connection, call)
        if first is not None:
            parts.metrics.idempotent_repeats.inc()
            return JSONResponse(dict(first.body), first.status)
        created = await create(connection)
        if call is not None:
            # An address that has a secret in it is kept as it is shown without.
            kept = {**dict.fromkeys(created.secrets), **created.body}
            await parts.idempotency.keep(connection, call, Answer(status, kept))
    return JSONResponse({**created.body, **created.secrets}, status)


async def _claim(parts: Parts, connection: AsyncConnection, call: IdempotentCall | None) -> Answer | None:
    if call is None:
        return None
    try:
        return await parts.idempotency.claim(connection, call)
    except KeyReused:
        raise key_reused() from None


def key_reused() -> Problem:
    message = "was used with another request in the last 24 hours"
    return Problem(422, "Idempotency-Key used before", errors=[FieldError("Idempotency-Key", message)])
