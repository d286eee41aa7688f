"""Owners: who gets leads, who is paused or gone, and what everybody has. Routing reads it in every step that routes."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.model import UNASSIGNED
from services.api.routes.bodies import read_body
from services.api.routes.idempotency import Created, create_once, idempotent_call
from services.api.routes.parts import Cursor, IdempotencyKey, Limit, Parts, Registrar, invalid, keys_of
from services.api.schemas.lists import Page
from services.api.schemas.owners import Membership, Owner, OwnerBody, OwnerChange, OwnerState
from services.api.store.cursors import encode_cursor
from services.api.store.owners import OwnersNow, OwnerStore
from shared.agreement.compiled import CompiledAccord
from shared.http.openapi import refusals
from shared.http.problems import Problem

_KIND = "owners"
_KNOWN_SHOWN_MAX = 50

Teams = Mapping[str, Sequence[Membership]]  # by owner
OwnerPath = Annotated[str, Path(max_length=320)]


class OwnerRoutes:
    """What people say about owners. Whom the accord names is known without that."""

    def __init__(self, parts: Parts, owners: OwnerStore) -> None:
        self._parts = parts
        self._owners = owners

    def register(self, to: Registrar) -> None:
        add = to.add
        add("GET /v1/owners", self.list_owners, summary="Owners, and the queue unassigned", answer=Page[Owner])
        add("GET /v1/owners/{owner}", self.show_owner, summary="One owner", answer=Owner)
        summary = "Take an owner up, again too"
        add("POST /v1/owners", self.take_up, summary=summary, answer=Owner, body=OwnerBody, status=201)
        summary = "Pause or resume an owner"
        add(
            "PATCH /v1/owners/{owner}",
            self.change,
            summary=summary,
            answer=Owner,
            body=OwnerChange,
            also=refusals(409),
        )
        add("DELETE /v1/owners/{owner}", self.remove, summary="An owner is gone", answer=None, status=204)

    async def list_owners(self, limit: Limit = 50, cursor: Cursor = None) -> Page[Owner]:
        keys = keys_of(cursor, _KIND, (str,))
        owners = [owner for owner in await self._all() if keys is None or owner.owner > keys[0]]
        following = encode_cursor(_KIND, (owners[limit - 1].owner,)) if len(owners) > limit else None
        return Page(items=owners[:limit], next=following)

    async def show_owner(self, owner: OwnerPath) -> Owner:
        return await self._one(owner)

    async def take_up(self, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        body, raw = await read_body(request, OwnerBody, self._parts)
        await self._check_known(body.owner)
        values = {**self._pause(body.paused, body.paused_until), "deleted_at": None}

        async def create(connection: AsyncConnection) -> Created:
            await self._owners.keep(connection, body.owner, values)
            teams, stand, now = await self._read()
            changed = {body.owner: {**values, "updated_at": now}}
            made = _owner(body.owner, teams, stand._replace(changed=changed), now)
            return Created(made.model_dump(mode="json"), {})

        return await create_once(self._parts, idempotent_call(self._parts, request, raw, idempotency_key), create)

    async def change(self, owner: OwnerPath, request: Request) -> Owner:
        body, _ = await read_body(request, OwnerChange, self._parts)
        if (await self._one(owner)).state == "gone":
            raise Problem(409, "This owner is gone", "POST /v1/owners takes them up again.")
        async with self._owners.database.transaction() as connection:
            await self._owners.keep(connection, owner, self._pause(body.paused, body.paused_until))
        return await self._one(owner)

    async def remove(self, owner: OwnerPath) -> Response:
        """The leads that they have stay theirs until reassigned; no other comes."""
        await self._one(owner)
        gone = {"is_paused": False, "paused_until": None, "deleted_at": self._parts.clock.now()}
        async with self._owners.database.transaction() as connection:
            await self._owners.keep(connection, owner, gone)
        return Response(status_code=204)

    def _pause(self, paused: bool | None, until: datetime | None) -> dict[str, Any]:
        """Raises Problem 422."""
        if until is not None and paused is False:
            raise invalid("paused_until", "goes with paused true")
        if until is not None and until <= self._parts.clock.now():
            raise invalid("paused_until", "must lie ahead")
        return {"is_paused": paused is True or until is not None, "paused_until": until}

    async def _check_known(self, name: str) -> None:
        """Raises Problem 422: a misspelt name would pause nobody."""
        accords = await self._parts.accords()
        known = {owner for accord in accords.all for owner, _ in _memberships_of(accord)}
        known |= {owner.owner for owner in await self._all() if owner.state != "queue"}
        if name not in known:
            shown = ", ".join(sorted(known)[:_KNOWN_SHOWN_MAX]) or "none: no accord has a team, and nobody has a lead"
            raise invalid("owner", f"is in no team of a signed accord and has no lead; known: {shown}")

    async def _one(self, name: str) -> Owner:
        """Raises Problem 404."""
        found = next((owner for owner in await self._all() if owner.owner == name and owner.state != "queue"), None)
        if found is None:
            raise Problem(404, "No such owner", "No accord names this owner, and no lead is theirs.")
        return found

    async def _all(self) -> list[Owner]:
        """By name."""
        teams, stand, now = await self._read()
        names = {*teams, *stand.changed, *(name for name in stand.open_leads if name is not None)}
        owners = [_owner(name, teams, stand, now) for name in names]
        return sorted([*owners, _queue(stand)], key=lambda owner: owner.owner)

    async def _read(self) -> tuple[Teams, OwnersNow, datetime]:
        accords, now = await self._parts.accords(), self._parts.clock.now()
        accord = accords.at(now)
        teams: dict[str, list[Membership]] = {}
        for name, membership in _memberships_of(accord):
            teams.setdefault(name, []).append(membership)
        return teams, await self._owners.now(accord.day_of(now)), now


def _memberships_of(accord: CompiledAccord) -> Iterator[tuple[str, Membership]]:
    for team, members in accord.document.routing.teams.items():
        for member in members:
            yield member.owner, Membership(team=team, weight=member.weight, capacity=member.capacity)


def _owner(name: str, teams: Teams, stand: OwnersNow, now: datetime) -> Owner:
    changed = stand.changed.get(name, {})
    return Owner(
        owner=name,
        teams=list(teams.get(name, ())),
        **_shown(changed, now),
        leads_today=stand.leads_of_day.get(name, 0),
        open_leads=stand.open_leads.get(name, 0),
        updated_at=changed.get("updated_at"),
    )


def _shown(changed: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A pause is over when its time has come, whether anybody resumed or not."""
    until = changed.get("paused_until")
    is_paused = bool(changed.get("is_paused")) and (until is None or until > now)
    state: OwnerState = "gone" if changed.get("deleted_at") else "paused" if is_paused else "active"
    return {"state": state, "paused": is_paused, "paused_until": until if is_paused else None}


def _queue(stand: OwnersNow) -> Owner:
    return Owner(
        owner=UNASSIGNED,
        teams=[],
        state="queue",
        paused=False,
        paused_until=None,
        leads_today=0,
        open_leads=stand.open_leads.get(None, 0),
        updated_at=None,
    )
