"""A document on trial: what proposing it would say, with nothing kept of it."""

import asyncio
from typing import Any, Final

from fastapi import Request

from services.api.routes.accords import changes_of, example
from services.api.routes.documents import MEDIA_TYPES, read_proposal
from services.api.routes.parts import Parts, Registrar
from services.api.schemas.accords import EXAMPLE, EXAMPLE_DIFFERENCE, CheckedBody, ProposalBody
from services.api.store import versions
from services.api.store.accords import version_row
from shared.agreement.life import refuse_proposal

_EXAMPLE: Final[dict[str, Any]] = {
    "sha256": EXAMPLE["sha256"],
    "warnings": [],
    "compared_with": 1,
    "changes": EXAMPLE_DIFFERENCE["changes"],
    "refusal": None,
}


class AccordCheckRoutes:
    """What editors ask while somebody types."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def register(self, to: Registrar) -> None:
        to.add(
            "POST /v1/accords/checks",
            self.check,
            summary="What proposing a document would say, without proposing it",
            answer=CheckedBody,
            body=ProposalBody,
            also=example(_EXAMPLE),
            media_types=MEDIA_TYPES,
        )

    async def check(self, request: Request) -> CheckedBody:
        """Mistakes are refused as a proposal's are: every one at once, each with its path and line."""
        (loaded, effective_at), _ = await read_proposal(request, self._parts, is_trial=True)
        async with self._parts.idempotency.database.reading() as connection:
            shelf = await versions.shelf(connection)
            newest = await version_row(connection, shelf.newest)
        assert newest is not None, "it is on the shelf"
        refusal = refuse_proposal(loaded.sha256, effective_at, shelf, self._parts.clock.now())
        return CheckedBody(
            sha256=loaded.sha256.hex(),
            warnings=loaded.warnings,
            compared_with=shelf.newest,
            changes=await asyncio.to_thread(changes_of, newest["document"], loaded.document),
            refusal=None if refusal is None else refusal.words,
        )
