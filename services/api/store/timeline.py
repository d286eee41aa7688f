"""Everything that happened to one lead, in one order: by time, then kind, then id."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Select,
    Text,
    cast,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from services.api.store.cursors import Keys, after
from services.api.store.database import Database, Row
from services.api.store.tables import (
    ACTIONS,
    ASSIGNMENTS,
    CLOCK_EVENTS,
    DELIVERIES,
    GRANTS,
    HISTORY,
    STAYS,
    TRANSITIONS,
)
from shared.events.sla import ClockEscalated

Kind = Literal["profile", "activity", "rescore", "score", "action", "transition", "clock", "delivery"]
# At the same time what causes comes before what follows from it.
KINDS: tuple[Kind, ...] = ("profile", "activity", "rescore", "score", "action", "transition", "clock", "delivery")
_VERSION = cast(HISTORY.c.body["version"].astext, Integer)
_NOT_LATER = literal_column("0", Integer)
_IS_ESCALATED = cast(CLOCK_EVENTS.c.type == ClockEscalated.TYPE, Integer)


class Wanted(NamedTuple):
    """What of a lead's life, up to when (None: to the end), and whether the latest comes first."""

    kinds: Sequence[Kind] = KINDS
    until: datetime | None = None
    is_descending: bool = False


_ALL: Final = Wanted()


class TimelineStore:
    """One page of a lead's life."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, lead_id: UUID, keys: Keys | None, limit: int, wanted: Wanted = _ALL) -> Sequence[Row]:
        items = union_all(*(part(lead_id) for kind, part in _PARTS.items() if kind in wanted.kinds)).subquery("items")
        is_descending = wanted.is_descending
        columns = [(items.c[name], is_descending) for name in ("at", "rank", "id")]
        statement = select(items)
        if wanted.until is not None:
            statement = statement.where(items.c.at <= wanted.until)
        if keys is not None:
            statement = statement.where(after(columns, keys))
        order = (column.desc() if is_descending else column.asc() for column, _ in columns)
        return await self._database.rows(statement.order_by(*order).limit(limit))


def _history(lead_id: UUID, kind: Kind, body: str) -> Select[*tuple[Any, ...]]:
    fields = ("event_id", "type", "occurred_at", "received_at", "source", "campaign")
    detail = _object({**{name: HISTORY.c[name] for name in fields}, body: HISTORY.c.body[body]})
    statement = _item(kind, HISTORY.c.occurred_at, HISTORY.c.event_id, detail)
    return statement.where(HISTORY.c.lead_id == lead_id, HISTORY.c.kind == kind)


def _rescores(lead_id: UUID) -> Select[*tuple[Any, ...]]:
    """A version of the accord came into effect."""
    statement = _item("rescore", HISTORY.c.received_at, HISTORY.c.event_id, _object({"accord": _VERSION}))
    return statement.where(HISTORY.c.lead_id == lead_id, HISTORY.c.kind == "rescore")


def _scores(lead_id: UUID) -> Select[*tuple[Any, ...]]:
    """What an activity earned, per accord; counted when it was received, or when that accord rescored the lead."""
    rescored_at = (
        select(HISTORY.c.received_at)
        .where(HISTORY.c.lead_id == lead_id, HISTORY.c.kind == "rescore", GRANTS.c.accord == _VERSION)
        .scalar_subquery()
    )
    at = func.greatest(GRANTS.c.received_at, rescored_at)
    grant = _object({name: GRANTS.c[name] for name in ("rule", "points", "withheld", "why")})
    detail = _object(
        {
            "event_id": GRANTS.c.event_id,
            "type": GRANTS.c.type,
            "accord": GRANTS.c.accord,
            "grants": func.jsonb_agg(aggregate_order_by(grant, GRANTS.c.rule)),
        }
    )
    id_ = cast(GRANTS.c.event_id, Text) + "/" + cast(GRANTS.c.accord, Text)
    return (
        _item("score", at, id_, detail)
        .where(GRANTS.c.lead_id == lead_id)
        .group_by(GRANTS.c.event_id, GRANTS.c.type, GRANTS.c.accord, GRANTS.c.received_at)
    )


def _actions(lead_id: UUID) -> Select[*tuple[Any, ...]]:
    fields = {**_shown(ACTIONS), "routing": _routing(lead_id, ACTIONS.c.event_id, ACTIONS.c.action == "assigned")}
    statement = _item("action", ACTIONS.c.occurred_at, ACTIONS.c.event_id, _object(fields))
    return statement.where(ACTIONS.c.lead_id == lead_id)


def _transitions(lead_id: UUID) -> Select[*tuple[Any, ...]]:
    """`seconds` is how long the lead was in the stage that it leaves."""
    stay = select(STAYS.c.seconds).where(STAYS.c.lead_id == lead_id, STAYS.c.version == TRANSITIONS.c.version - 1)
    fields = {
        **_shown(TRANSITIONS),
        "seconds": stay.scalar_subquery(),
        "routing": _routing(lead_id, TRANSITIONS.c.cause_id, TRANSITIONS.c.to_stage == "mql"),
    }
    # Transitions implied by one action have its time; padded, their numbers sort as they happened.
    statement = _item("transition", TRANSITIONS.c.occurred_at, _padded(TRANSITIONS.c.entry), _object(fields))
    return statement.where(TRANSITIONS.c.lead_id == lead_id)


def _routing(lead_id: UUID, cause: ColumnElement[Any], is_asked: ColumnElement[bool]) -> ColumnElement[Any]:
    """Who got the lead by this, and why; null where nobody was sought."""
    names = ("owner", "team", "why", "turn", "passed_over")
    stamp = _object({name: ASSIGNMENTS.c[name] for name in names})
    own = (ASSIGNMENTS.c.lead_id == lead_id) & (ASSIGNMENTS.c.event_id == cause)
    return select(stamp).where(own, is_asked).scalar_subquery()


def _part(
    kind: Kind,
    view: FromClause,
    lead_id: UUID,
    at: ColumnElement[Any],
    id_: ColumnElement[Any],
    *,
    later: ColumnElement[int] = _NOT_LATER,
) -> Select[*tuple[Any, ...]]:
    detail = _object(_shown(view))
    return _item(kind, at, id_, detail, later=later).where(view.c.lead_id == lead_id)


def _item(
    kind: Kind,
    at: ColumnElement[Any],
    id_: ColumnElement[Any],
    detail: ColumnElement[Any],
    *,
    later: ColumnElement[int] = _NOT_LATER,
) -> Select[*tuple[Any, ...]]:
    rank = literal_column(str(2 * KINDS.index(kind)), Integer) + later
    # One collation for every id, so that keyset and order agree on any server.
    return select(
        cast(at, DateTime(timezone=True)).label("at"),
        rank.label("rank"),
        cast(id_, Text).collate("C").label("id"),
        literal_column(f"'{kind}'", Text).label("kind"),
        detail.label("detail"),
    )


def _shown(view: FromClause) -> dict[str, ColumnElement[Any]]:
    return {column.name: column for column in view.c if column.name != "lead_id"}


def _object(fields: dict[str, ColumnElement[Any]]) -> ColumnElement[Any]:
    pairs: list[ColumnElement[Any]] = []
    for name, column in fields.items():
        pairs += [literal_column(f"'{name}'", Text), column]
    return func.jsonb_build_object(*pairs, type_=JSONB)


def _padded(number: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.lpad(cast(number, Text), 10, "0")


def _clocks(lead_id: UUID) -> Select[*tuple[Any, ...]]:
    # A breach and its escalation have one time.
    at, id_ = CLOCK_EVENTS.c.occurred_at, CLOCK_EVENTS.c.event_id
    return _part("clock", CLOCK_EVENTS, lead_id, at, id_, later=_IS_ESCALATED)


_PARTS: Final[Mapping[Kind, Callable[[UUID], Select[*tuple[Any, ...]]]]] = {
    "profile": lambda lead_id: _history(lead_id, "profile", "fields"),
    "activity": lambda lead_id: _history(lead_id, "activity", "data"),
    "rescore": _rescores,
    "score": _scores,
    "action": _actions,
    "transition": _transitions,
    "clock": _clocks,
    "delivery": lambda lead_id: _part(
        "delivery", DELIVERIES, lead_id, DELIVERIES.c.created_at, DELIVERIES.c.delivery_id
    ),
}
