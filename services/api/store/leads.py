"""Leads as scoring, stages and ingest publish them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Text,
    bindparam,
    func,
    literal,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from services.api.model import RUNNING_STATES, GrantRow, Moment
from services.api.store.cursors import Keys, after
from services.api.store.database import Database, Row
from services.api.store.tables import (
    ACTIONS,
    CLOCKS,
    ERASURES,
    GRANTS,
    HISTORY,
    IDENTITIES,
    LEAD_INDEX,
    SCORED,
    STAGED,
    STAGES_HISTORY,
    TRANSITIONS,
)
from services.api.store.whole_lead import Identifier, WholeLead, read_whole
from services.api.store.words import said

Sort = Literal["engagement", "fit", "updated", "deadline"]
KEY_TYPES: dict[str, type] = {"engagement": float, "fit": int, "updated": datetime, "deadline": datetime}
_STAGED = [
    *(STAGED.c[name] for name in ("stage", "entry", "entered_at", "owner", "team")),
    STAGED.c.updated_at.label("staged_at"),
]


@dataclass(frozen=True)
class LeadFilter:
    """What a list of leads is narrowed to; None doesn't narrow."""

    stage: str | None = None
    grade: str | None = None
    owner: str | None = None
    q: str | None = None
    min_engagement: float | None = None
    source: str | None = None
    id: tuple[UUID, ...] = ()


class LeadStore:
    """Queries about leads. Each touches one lead by its id, or reads one page."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: LeadFilter, sort: Sort, keys: Keys | None, limit: int) -> Sequence[Row]:
        """One page, each row with `sort_key` and what is due next. Found in the lists' own index; shown as of now."""
        column, is_descending = _SORTS[sort]
        columns = [(column, is_descending), (LEAD_INDEX.c.lead_id, is_descending)]
        chosen = select(LEAD_INDEX.c.lead_id, column.label("sort_key")).where(*_conditions(wanted))
        if wanted.q:
            chosen = chosen.where(await said(self._database, wanted.q))
        if keys is not None:
            chosen = chosen.where(after(columns, keys))
        chosen = chosen.order_by(*(column.desc() if down else column.asc() for column, down in columns))
        # The wide columns are dug out of each lead's state: only for this page's leads, then.
        page = chosen.limit(limit).cte("page")
        due = _next_clock(page.c.lead_id)
        joined = _JOINED.join(page, page.c.lead_id == SCORED.c.lead_id).join(due, literal(True), isouter=True)
        statement = _lead_columns(page.c.sort_key, *due.c).select_from(joined)
        shown = [(page.c.sort_key, is_descending), (page.c.lead_id, is_descending)]
        return await self._database.rows(
            statement.order_by(*(column.desc() if down else column.asc() for column, down in shown))
        )

    async def whole(self, lead: UUID | Identifier) -> WholeLead | None:
        """None only if no lead has this identifier; of an id that nobody knows it is empty."""
        return await read_whole(self._database, lead)

    async def owner(self, lead_id: UUID) -> str | None:
        row = await self._database.row(_OWNER, {"lead_id": lead_id})
        return row["owner"] if row else None

    async def is_erased(self, lead_id: UUID) -> bool:
        """Whether somebody asked for this lead to be forgotten."""
        return await self._database.row(select(ERASURES.c.lead_id).where(ERASURES.c.lead_id == lead_id)) is not None

    async def id_of(self, identifier: Identifier) -> UUID | None:
        row = await self._database.row(_IDENTIFIED, identifier._asdict())
        return row["lead_id"] if row else None

    async def grants(self, lead_id: UUID, accord: int) -> list[GrantRow]:
        """The lead's ledger under one accord, in the order of the events."""
        columns = [GRANTS.c[name] for name in GrantRow._fields]
        statement = select(*columns).where(GRANTS.c.lead_id == lead_id, GRANTS.c.accord == accord)
        rows = await self._database.rows(statement.order_by(GRANTS.c.occurred_at, GRANTS.c.event_id, GRANTS.c.rule))
        return [GrantRow(**row) for row in rows]

    async def profile_updates(self, lead_id: UUID, until: datetime) -> Sequence[Row]:
        """What is known of the lead's profile, in the order it was applied."""
        statement = (
            select(HISTORY.c.occurred_at, HISTORY.c.received_at, HISTORY.c.body)
            .where(HISTORY.c.lead_id == lead_id, HISTORY.c.kind == "profile", until >= _COUNTS_AT)
            .order_by(HISTORY.c.number)
        )
        return await self._database.rows(statement)

    async def about(self, lead_id: UUID, moment: Moment) -> Row:
        """What scoring knew of the lead beside its profile: `email`, `source`, `campaign`, `first_source`."""
        email = HISTORY.c.body["identifiers"]["email"].astext
        is_known = (HISTORY.c.lead_id == lead_id) & (HISTORY.c.kind != "rescore") & (moment.at >= _COUNTS_AT)
        if not moment.knows_later:
            is_known &= HISTORY.c.received_at <= moment.at
        is_activity = HISTORY.c.kind == "activity"
        statement = select(
            _first(email, email.is_not(None), HISTORY.c.number.desc()).label("email"),
            _first(HISTORY.c.source, is_activity, HISTORY.c.number.desc()).label("source"),
            _first(HISTORY.c.campaign, is_activity & HISTORY.c.campaign.is_not(None), HISTORY.c.number.desc()).label(
                "campaign"
            ),
            _first(HISTORY.c.source, is_activity, HISTORY.c.number.asc()).label("first_source"),
        ).where(is_known)
        row = await self._database.row(statement)
        assert row is not None, "a query without groups gives one row"
        return row

    async def ignored(self, lead_id: UUID, action_id: UUID) -> str | None:
        """Why an action that stages has applied changed nothing; None if it was taken."""
        own = (ACTIONS.c.lead_id == lead_id) & (ACTIONS.c.event_id == action_id)
        row = await self._database.row(select(ACTIONS.c.ignored).where(own))
        return row["ignored"] if row else None

    async def transition_at(self, lead_id: UUID, moment: Moment) -> Row | None:
        """The transition that put the lead into the stage it was in at that time."""
        known = (
            select(literal(1))
            .where(STAGES_HISTORY.c.lead_id == lead_id, STAGES_HISTORY.c.event_id == TRANSITIONS.c.cause_id)
            .where(STAGES_HISTORY.c.received_at > moment.at)
        )
        statement = select(TRANSITIONS).where(TRANSITIONS.c.lead_id == lead_id, TRANSITIONS.c.occurred_at <= moment.at)
        if not moment.knows_later:
            statement = statement.where(~known.exists())
        return await self._database.row(statement.order_by(TRANSITIONS.c.entry.desc()).limit(1))


# An event that says it comes from the future counts when it was received.
_COUNTS_AT = func.least(HISTORY.c.occurred_at, HISTORY.c.received_at)


def _first(value: ColumnElement[Any], where: ColumnElement[bool], order: ColumnElement[Any]) -> ColumnElement[Any]:
    return type_coerce(func.array_agg(aggregate_order_by(value, order)).filter(where), ARRAY(Text))[1]


_JOINED: FromClause = SCORED.join(STAGED, STAGED.c.lead_id == SCORED.c.lead_id, isouter=True)


# Built once, since they are asked for often.
_OWNER = select(STAGED.c.owner).where(STAGED.c.lead_id == bindparam("lead_id"))
_IDENTIFIED = select(IDENTITIES.c.lead_id).where(
    IDENTITIES.c.kind == bindparam("kind"), IDENTITIES.c.value == bindparam("value")
)


def _next_clock(lead_id: ColumnElement[UUID]) -> FromClause:
    """The running clock of a lead whose deadline comes first."""
    columns = [CLOCKS.c[name].label(f"due_{name}") for name in ("rule", "state", "deadline")]
    running = select(*columns).where(CLOCKS.c.lead_id == lead_id, CLOCKS.c.state.in_(RUNNING_STATES))
    return running.order_by(CLOCKS.c.deadline, CLOCKS.c.clock_id).limit(1).lateral("due")


def _lead_columns(*more: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    return select(*SCORED.c, *_STAGED, *more)


_SORTS: dict[Sort, tuple[ColumnElement[Any], bool]] = {
    "engagement": (LEAD_INDEX.c.engagement, True),
    "fit": (LEAD_INDEX.c.fit, True),
    "updated": (LEAD_INDEX.c.updated_at, True),
    "deadline": (LEAD_INDEX.c.deadline, False),
}


def _conditions(wanted: LeadFilter) -> list[ColumnElement[bool]]:
    index = LEAD_INDEX.c
    equal = {"stage": wanted.stage, "grade": wanted.grade, "owner": wanted.owner}
    conditions = [index[name] == value for name, value in equal.items() if value is not None]
    if wanted.id:
        conditions.append(index.lead_id.in_(wanted.id))
    if wanted.source is not None:
        conditions.append(or_(index.source == wanted.source, index.first_source == wanted.source))
    if wanted.min_engagement is not None:
        conditions.append(index.engagement >= wanted.min_engagement)
    return conditions
