"""A person's right to be forgotten: the wish is made durable, goes down the line, and on request is waited for."""

import asyncio
from uuid import UUID

from fastapi import Request
from fastapi.responses import JSONResponse

from services.api.handler import Eraser
from services.api.routes.actions import Prefer, wait_seconds
from services.api.routes.lead_reader import LeadReader
from services.api.routes.parts import Parts, Registrar, no_such_lead, principal_of
from services.api.schemas.leads import Erasure
from services.api.store.erasure import ErasureStore
from shared.events.activity import LeadErased
from shared.http.trace import traceparent_of

LOOK_SECONDS = 0.05


class ErasureRoutes:
    """The one call that can't be taken back."""

    def __init__(self, parts: Parts, reader: LeadReader, store: ErasureStore, eraser: Eraser) -> None:
        self._parts = parts
        self._reader = reader
        self._store = store
        self._eraser = eraser

    def register(self, to: Registrar) -> None:
        to.add(
            "DELETE /v1/leads/{lead}",
            self.erase,
            summary="Forget a person, for good",
            answer=Erasure,
            status=202,
            also={200: {"model": Erasure, "description": "With Prefer: wait, once every service has applied it."}},
        )

    async def erase(self, lead: str, request: Request, prefer: Prefer = None) -> JSONResponse:
        """Everything held about the lead goes from every table within seconds; the topics forget it when their
        retention is over. What reports counted of it stays counted, as of nobody. An address that is heard of again
        later is a new lead."""
        lead_id = await self._reader.resolve(lead)
        if not await self._is_known(lead_id):
            raise no_such_lead()
        erased = await self._eraser.erase(lead_id, principal_of(request).key_id, traceparent_of(request.scope))
        seconds = wait_seconds(prefer, self._parts.settings.wait_seconds_max)
        is_applied = seconds is not None and await self._wait(erased, seconds)
        body = Erasure(lead_id=lead_id, is_applied=is_applied).model_dump(mode="json")
        headers = {"Preference-Applied": f"wait={seconds:g}"} if is_applied else None
        return JSONResponse(body, 200 if is_applied else 202, headers)

    async def _is_known(self, lead_id: UUID) -> bool:
        held = await self._parts.leads.whole(lead_id)
        is_held = held is not None and (held.is_known or bool(held.identities))
        return is_held or await self._store.is_asked(lead_id)

    async def _wait(self, erased: LeadErased, seconds: float) -> bool:
        """False at the time-out."""
        try:
            async with asyncio.timeout(seconds):
                if not await self._parts.wait_until_applied(erased, seconds):
                    return False
                while not await self._store.is_forgotten(erased.lead_id):  # noqa: ASYNC110 (another process)
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            return False
        return True
