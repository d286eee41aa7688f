"""Sales actions on a lead: checked, made durable, and on request waited for."""

import re
from typing import Annotated
from uuid import UUID

from fastapi import Header, Request
from fastapi.responses import JSONResponse
from msgspec.structs import replace

from services.api.model import ActionFault, action_faults
from services.api.routes.bodies import read_body
from services.api.routes.idempotency import idempotent_call, key_reused
from services.api.routes.lead_reader import LeadReader
from services.api.routes.parts import IdempotencyKey, Parts, Registrar, principal_of
from services.api.schemas.leads import Accepted, ActionBody, Lead
from services.api.store.idempotency import Answer, IdempotentCall, KeyReused
from shared.clock import new_id
from shared.events.sales import SalesAction
from shared.http.auth import Principal
from shared.http.problems import FieldError, Problem
from shared.http.trace import traceparent_of

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?=$|[,;])", re.IGNORECASE)
SOURCE = "api"

Prefer = Annotated[str | None, Header(max_length=500, examples=["wait=5"])]


class ActionRoutes:
    """Writes to leads, by way of the log."""

    def __init__(self, parts: Parts, reader: LeadReader) -> None:
        self._parts = parts
        self._reader = reader

    def register(self, to: Registrar) -> None:
        to.add(
            "POST /v1/leads/{lead}/actions",
            self.act,
            summary="Do something to a lead, as sales",
            answer=Accepted,
            body=ActionBody,
            status=202,
            also={200: {"model": Lead, "description": "With Prefer: wait, once it is applied: the resulting lead."}},
        )

    async def act(
        self,
        lead: str,
        request: Request,
        prefer: Prefer = None,
        idempotency_key: IdempotencyKey = None,
    ) -> JSONResponse:
        body, raw = await read_body(request, ActionBody, self._parts)
        lead_id = await self._reader.resolve(lead)
        identifiers = await self._reader.identifiers(lead_id)
        action = await self._action(lead_id, body, identifiers, principal_of(request))
        call = idempotent_call(self._parts, request, raw, idempotency_key)
        action = await self._publish_once(action, traceparent_of(request.scope), call)
        return await self._answer(action, wait_seconds(prefer, self._parts.settings.wait_seconds_max))

    async def _action(
        self, lead_id: UUID, body: ActionBody, identifiers: dict[str, str], principal: Principal
    ) -> SalesAction:
        """Raises Problem 422 with everything that is wrong."""
        now = self._parts.clock.now()
        occurred_at = min(body.occurred_at or now, now)
        accord = (await self._parts.accords()).at(now)
        faults = action_faults(
            body.action, accord, reason=body.reason, until=body.until, occurred_at=occurred_at, note=body.note
        )
        if faults:
            raise _refused(faults)
        return SalesAction(
            lead_id=lead_id,
            id=new_id(),
            occurred_at=occurred_at,
            received_at=now,
            source=await self._source_of(principal),
            actor=principal.name,
            identifiers=identifiers,
            **body.model_dump(exclude={"occurred_at"}),
        )

    async def _source_of(self, principal: Principal) -> str:
        if principal.source_id is None:
            return SOURCE
        return await self._parts.configured.source_name(principal.source_id) or SOURCE

    async def _publish_once(
        self, action: SalesAction, traceparent: str | None, call: IdempotentCall | None
    ) -> SalesAction:
        """Publishes under the id that the first call with this key reserved.

        If that call ended between reserving and publishing, this one publishes; should both publish, stages drops
        the second, because the id is the same.
        """
        if call is None:
            await self._parts.publish(action, traceparent)
            return action
        try:
            first = await self._parts.idempotency.open(call, {"event_id": str(action.id)})
        except KeyReused:
            raise key_reused() from None
        action = replace(action, id=UUID(first.body["event_id"]))
        if first.status:
            self._parts.metrics.idempotent_repeats.inc()
            return action
        await self._parts.publish(action, traceparent)
        await self._parts.idempotency.close(call, Answer(202, first.body))
        return action

    async def _answer(self, action: SalesAction, wait: float | None) -> JSONResponse:
        if wait is None or not await self._parts.wait_until_applied(action, wait):
            return JSONResponse(Accepted(event_id=action.id).model_dump(mode="json"), 202)
        lead = await self._reader.now(action.lead_id, event_id=action.id)
        lead = lead.model_copy(update={"ignored": await self._parts.leads.ignored(action.lead_id, action.id)})
        return JSONResponse(
            lead.model_dump(mode="json", by_alias=True), headers={"Preference-Applied": f"wait={wait:g}"}
        )


def wait_seconds(prefer: str | None, longest: float) -> float | None:
    """The seconds of `Prefer: wait=N`, at most the longest; None if it asks for no wait."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), longest) if found else None


def _refused(faults: tuple[ActionFault, ...]) -> Problem:
    return Problem(422, "Invalid input", errors=[FieldError(fault.path, fault.message) for fault in faults])
