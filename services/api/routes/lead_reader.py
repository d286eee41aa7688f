"""One lead, put together from what the services publish: now, or as Accord knew it at a time."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from services.api.model import RUNNING_STATES, Explanation, Moment, clock_at, explain, profile_at, stage_of, totals_at
from services.api.routes.parts import Parts, erased_lead, no_such_lead
from services.api.routes.shown import (
    accord_of,
    clock_body,
    facts_of,
    lead_item,
    mql_line,
    totals_of,
    unscored_row,
)
from services.api.schemas.clocks import Clock
from services.api.schemas.leads import FitLine, Identity, Lead
from services.api.store.whole_lead import Identifier, WholeLead
from shared.agreement.compiled import CompiledAccord
from shared.agreement.decay import below_threshold_at
from shared.agreement.versions import Accords
from shared.email_address import normalise_email
from shared.http.paths import with_slashes

_IDENTIFIER = re.compile(r"([^:\0]{1,100}):([^\0]{1,200})")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


def named(lead: str) -> UUID | Identifier:
    """A lead is named by id, by email or, as `hubspot:101`, by another identifier. Raises Problem 404."""
    if _UUID.fullmatch(lead):
        return UUID(lead)
    lead = with_slashes(lead)
    if lead.isprintable():
        if (email := normalise_email(lead)) is not None:
            return Identifier("email", email)
        if other := _IDENTIFIER.fullmatch(lead):
            return Identifier(other[1], other[2])
    raise no_such_lead()


class LeadReader:
    """Finds leads and puts them together."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def resolve(self, lead: str) -> UUID:
        """The id of a lead that is named as `named` says. Raises Problem 404; an id is not looked up here."""
        asked = named(lead)
        found = asked if isinstance(asked, UUID) else await self._parts.leads.id_of(asked)
        if found is None:
            raise no_such_lead()
        return found

    async def belongs_to(self, lead: str, owner: str) -> bool:
        """Whether this owner has the lead of this id or email. Raises Problem 404."""
        return await self._parts.leads.owner(await self.resolve(lead)) == owner

    async def identifiers(self, lead_id: UUID) -> dict[str, str]:
        """One value of each kind by which the lead is known. Raises Problem 404 for a lead that nobody knows."""
        whole = await self._parts.leads.whole(lead_id)
        if whole is None or not (whole.identities or whole.is_known):
            raise no_such_lead()
        return {row["kind"]: row["value"] for row in whole.identities}

    async def whole(self, lead: UUID | Identifier, accords: Accords, now: datetime) -> WholeLead:
        """Raises Problem 404 if neither scoring nor stages knows the lead, or not any more."""
        whole = await self._parts.leads.whole(lead)
        if whole is None:
            raise no_such_lead()
        if not whole.is_known:
            raise erased_lead() if await self._parts.leads.is_erased(whole.row["lead_id"]) else no_such_lead()
        return whole if whole.is_scored else whole._replace(row=unscored_row(whole.row, accords.at(now)))

    async def now(self, lead: UUID | Identifier, event_id: UUID | None = None) -> Lead:
        """The lead as of now."""
        accords, now = await self._parts.accords(), self._parts.clock.now()
        row, clocks, identities = await self.whole(lead, accords, now)
        item = lead_item(row, accords, now)
        accord = accord_of(accords, row["accord"], now)
        return Lead(
            **dict(item),
            identities=[Identity(**identity) for identity in identities],
            mql=mql_line(item, accord),
            below_threshold_at=below_threshold_at(totals_of(row, accord), accord, facts_of(item, accord), now),
            clocks=[clock_body(clock, accords, now) for clock in clocks],
            event_id=event_id,
        )

    async def at(self, lead_id: UUID, moment: Moment) -> Lead:
        """The lead as Accord knew it then, or, with `knows_later`, as it knows now that it was."""
        accords, now = await self._parts.accords(), self._parts.clock.now()
        row, _, identities = await self.whole(lead_id, accords, now)
        accord = accords.reached(moment.at, row["accord"])
        explanation = await self.explain(lead_id, accord, moment)
        profile, about = await self._profile_at(lead_id, moment), await self._parts.leads.about(lead_id, moment)
        fit = accord.fit(profile, about["email"])
        entered = await self._parts.leads.transition_at(lead_id, moment)
        clocks = await self._clocks_at(lead_id, moment.at, entered["entry"] if entered else None, accords)
        item = lead_item(row, accords, now).model_copy(
            update={
                **about,
                "profile": profile,
                "stage": stage_of(entered["to_stage"] if entered else None),
                "stage_entered_at": entered["occurred_at"] if entered else None,
                "owner": entered["owner"] if entered else None,
                "team": row["team"] if entered and entered["owner"] == row["owner"] else None,
                "engagement": explanation.engagement,
                "fit": fit.points,
                "grade": fit.grade,
                "as_of": moment.at,
                "accord": accord.version,
            }
        )
        return Lead(
            **dict(item),
            identities=[Identity(**identity) for identity in identities],
            mql=mql_line(item, accord),
            below_threshold_at=below_threshold_at(
                totals_at(explanation, moment.at), accord, facts_of(item, accord), moment.at
            ),
            clocks=clocks,
            event_id=None,
        )

    async def explain(self, lead_id: UUID, accord: CompiledAccord, moment: Moment) -> Explanation:
        """The grants that make up the score at that time."""
        return explain(await self._parts.leads.grants(lead_id, accord.version), accord, moment)

    async def fit_at(
        self, row: Mapping[str, Any], accord: CompiledAccord, moment: Moment | None
    ) -> tuple[int, str, list[FitLine]]:
        """Fit, grade and the rules that hold; on the profile of that time, or on today's."""
        profile, email = row["profile"] or {}, row["email"]
        if moment is not None:
            profile = await self._profile_at(row["lead_id"], moment)
            email = (await self._parts.leads.about(row["lead_id"], moment))["email"]
        fit = accord.fit(profile, email)
        return fit.points, fit.grade, [FitLine(rule=rule, points=points) for rule, points in fit.rules]

    async def _profile_at(self, lead_id: UUID, moment: Moment) -> dict[str, Any]:
        rows = await self._parts.leads.profile_updates(lead_id, moment.at)
        updates = (
            (min(row["occurred_at"], row["received_at"]), row["received_at"], row["body"].get("fields") or {})
            for row in rows
        )
        return profile_at(updates, moment)

    async def _clocks_at(self, lead_id: UUID, at: datetime, entry: int | None, accords: Accords) -> list[Clock]:
        then = (clock_at(row, at) for row in await self._parts.clocks.started_by(lead_id, at))
        return [
            clock_body(clock, accords, at)
            for clock in then
            if clock is not None and (clock["entry"] == entry or clock["state"] in RUNNING_STATES)
        ]
