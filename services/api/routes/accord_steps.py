"""The steps of a version's life: propose, sign, withdraw. What is allowed is decided in shared/agreement/life.py."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import structlog
from fastapi import Request
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.routes.accords import item_of, no_such_version, number_of
from services.api.routes.bodies import read_body
from services.api.routes.documents import MEDIA_TYPES, read_proposal
from services.api.routes.idempotency import Created, create_once, idempotent_call
from services.api.routes.parts import IdempotencyKey, Parts, Registrar, invalid, principal_of
from services.api.schemas.accords import (
    EXAMPLE,
    AccordItem,
    ProposalBody,
    ProposedBody,
    SignatureBody,
    WithdrawalBody,
)
from services.api.store import versions
from services.api.store.accords import version_row
from services.api.store.database import Row
from services.api.store.idempotency import IdempotentCall
from services.api.store.versions import Actor, Proposal
from shared.agreement.life import (
    Person,
    Refusal,
    RefusalReason,
    Version,
    refuse_proposal,
    refuse_withdrawal,
    sign,
)
from shared.http.auth import Principal
from shared.http.openapi import refusals
from shared.http.problems import Problem

log = structlog.get_logger(component="api")

_TITLES: Final[Mapping[RefusalReason, tuple[int, str]]] = {
    RefusalReason.OPEN_PROPOSAL: (409, "A proposal is open"),
    RefusalReason.NO_CHANGE: (409, "No change"),
    RefusalReason.NO_SIDE: (403, "Not allowed"),
    RefusalReason.SIDE_HAS_SIGNED: (409, "This side has signed"),
    RefusalReason.SAME_PERSON: (403, "One person for both sides"),
    RefusalReason.NOT_PROPOSED: (409, "Not a proposal"),
}


class Taken(NamedTuple):
    """A step that was taken: the version, the words for what happened, and what to say beside the version."""

    version: int
    steps: tuple[str, ...]
    remarks: Mapping[str, Any] = {}


Take = Callable[[AsyncConnection, datetime], Awaitable[Taken]]


def _answers(status: int, **more: Any) -> dict[int | str, dict[str, Any]]:
    return {status: {"content": {"application/json": {"example": {**EXAMPLE, **more}}}}, **refusals(409)}


class AccordStepRoutes:
    """What people do about accords."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def register(self, to: Registrar) -> None:
        to.add(
            "POST /v1/accords",
            self.propose,
            summary="Propose a document as the next version",
            answer=ProposedBody,
            body=ProposalBody,
            status=201,
            also=_answers(201, state="proposed", signatures=[], warnings=[]),
            media_types=MEDIA_TYPES,
        )
        to.add(
            "POST /v1/accords/{version}/signatures",
            self.sign,
            summary="Sign a proposal for marketing or for sales, as the key's role says",
            answer=AccordItem,
            body=SignatureBody,
            status=201,
            also=_answers(201),
        )
        to.add(
            "POST /v1/accords/{version}/withdrawal",
            self.withdraw,
            summary="Withdraw a proposal",
            answer=AccordItem,
            body=WithdrawalBody,
            also=_answers(200, state="withdrawn", withdrawn_by="Sam", withdrawn_at="2026-11-30T16:00:00Z"),
        )

    async def propose(self, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        """The document is checked whole: every error at once, each with its path and line."""
        (loaded, effective_at), raw = await read_proposal(request, self._parts)

        async def take(connection: AsyncConnection, now: datetime) -> Taken:
            self._check(refuse_proposal(loaded.sha256, effective_at, await versions.shelf(connection), now))
            proposal = Proposal(loaded.document, loaded.source_text, loaded.sha256, effective_at)
            number = await versions.propose(connection, proposal, _actor(request, now))
            remarks = {"warnings": loaded.warnings}
            return Taken(number, ("proposed",), remarks)

        return await self._take_once(request, idempotent_call(self._parts, request, raw, idempotency_key), take)

    async def sign(self, version: str, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        """With the second signature the version is scheduled."""
        body, raw = await read_body(request, SignatureBody, self._parts, is_optional=True)
        person = _person(principal_of(request))

        async def take(connection: AsyncConnection, now: datetime) -> Taken:
            found, row = await _found(connection, version)
            signing = sign(found, person, body.effective_at, shelf=await versions.shelf(connection), now=now)
            if isinstance(signing, Refusal):
                raise self._refused(signing)
            await versions.sign(connection, row, signing, _actor(request, now), asked=body.effective_at)
            return Taken(found.number, ("signed", "scheduled") if signing.is_scheduled else ("signed",))

        return await self._take_once(request, idempotent_call(self._parts, request, raw, idempotency_key), take)

    async def withdraw(self, version: str, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        """Either side may, and who proposed it; what both have signed stands."""
        _, raw = await read_body(request, WithdrawalBody, self._parts, is_optional=True)
        person = _person(principal_of(request))

        async def take(connection: AsyncConnection, now: datetime) -> Taken:
            found, _ = await _found(connection, version)
            self._check(refuse_withdrawal(found, person))
            await versions.withdraw(connection, found.number, _actor(request, now))
            return Taken(found.number, ("withdrawn",))

        call = idempotent_call(self._parts, request, raw, idempotency_key)
        return await self._take_once(request, call, take, status=200)

    async def _take_once(
        self, request: Request, call: IdempotentCall | None, take: Take, *, status: int = 201
    ) -> JSONResponse:
        """Takes the step in its turn and shows the version as it stands then; a repeat gives the first answer."""
        taken: list[Taken] = []

        async def create(connection: AsyncConnection) -> Created:
            await versions.take_turn(connection)
            # The clock is read once it is this step's turn: what it is judged by is then as late as can be.
            step = await take(connection, self._parts.clock.now())
            row = await version_row(connection, step.version)
            assert row is not None
            taken.append(step)
            shown = {**item_of(row), **step.remarks}
            body = ProposedBody(**shown) if step.remarks else AccordItem(**shown)
            return Created(body.model_dump(mode="json"), {})

        response = await create_once(self._parts, call, create, status=status)
        for number, steps, _ in taken:
            for step in steps:
                self._parts.metrics.accord_steps.labels(step).inc()
            log.info("accord_changed", version=number, steps=list(steps), key_id=principal_of(request).key_id)
        return response

    def _check(self, refusal: Refusal | None) -> None:
        if refusal is not None:
            raise self._refused(refusal)

    def _refused(self, refusal: Refusal) -> Problem:
        self._parts.metrics.accord_refusals.labels(refusal.reason.value).inc()
        if refusal.reason in (RefusalReason.TOO_EARLY, RefusalReason.BEFORE_ANOTHER):
            return invalid("effective_at", refusal.words)
        status, title = _TITLES[refusal.reason]
        return Problem(status, title, refusal.words)


def _person(principal: Principal) -> Person:
    return Person(principal.key_id, principal.role)


def _actor(request: Request, now: datetime) -> Actor:
    principal = principal_of(request)
    return Actor(principal.key_id, principal.name, now)


async def _found(connection: AsyncConnection, version: str) -> tuple[Version, Row]:
    """The version that a path names. Raises Problem 404."""
    number = number_of(version)
    found = await versions.version(connection, number) if number else None
    if found is None:
        raise no_such_version()
    return found
