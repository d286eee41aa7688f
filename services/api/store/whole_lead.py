"""One lead, whole: what is asked for most often of all, so one statement that goes to Postgres in one round trip."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic_core import from_json

from services.api.model import RUNNING_STATES
from services.api.store.database import Database, Row
from services.api.store.tables import CLOCKS, SCORED

_PARSED: Final = ("profile", "rule_totals")
_CLOCK: Final = "clock "
_CLOCK_ID: Final = f"{_CLOCK}clock_id"
_CLOCK_NAMES: Final = [(column.name, f"{_CLOCK}{column.name}") for column in CLOCKS.c]
_RUNNING: Final = ", ".join(f"'{state}'" for state in RUNNING_STATES)
_COLUMNS: Final = ", ".join(
    [
        *(f"sc.{column.name}" for column in SCORED.c if column.name not in ("lead_id", *_PARSED)),
        *(f"st.{name}" for name in ("stage", "entry", "entered_at", "owner", "team")),
        *(f'c.{column.name} AS "{_CLOCK}{column.name}"' for column in CLOCKS.c if column.name != "pauses"),
    ]
)
# A row for each of its clocks. JSON comes as text, and is parsed once.
_WHOLE: Final = f"""SELECT asked.lead_id, sc.profile::text AS profile, sc.rule_totals::text AS rule_totals,
    st.updated_at AS staged_at, st.email AS staged_email, c.pauses::text AS "{_CLOCK}pauses", (
        SELECT json_agg(json_build_object('kind', kind, 'value', value) ORDER BY kind, value)::text
        FROM ingest.published_identities AS i WHERE i.lead_id = asked.lead_id) AS identities,
    {_COLUMNS}
FROM ({{asked}}) AS asked
LEFT JOIN scoring.published_leads AS sc ON sc.lead_id = asked.lead_id
LEFT JOIN stages.published_leads AS st ON st.lead_id = asked.lead_id
LEFT JOIN sla.published_clocks AS c ON c.lead_id = asked.lead_id AND (c.state IN ({_RUNNING}) OR c.entry = st.entry)
ORDER BY c.deadline, c.clock_id"""
_BY_ID: Final = _WHOLE.format(asked="SELECT $1::uuid AS lead_id")
_BY_IDENTIFIER: Final = _WHOLE.format(
    asked="SELECT lead_id FROM ingest.published_identities WHERE kind = $1 AND value = $2"
)


class Identifier(NamedTuple):
    """What a lead is known by beside its id."""

    kind: str
    value: str


class WholeLead(NamedTuple):
    """What scoring and stages hold of a lead; its clocks, those of this stage entry in any state and every running one;
    and what it is known by. All as of one moment."""

    row: Row
    clocks: Sequence[Row]
    identities: Sequence[Row]

    @property
    def is_scored(self) -> bool:
        return self.row["grade"] is not None

    @property
    def is_known(self) -> bool:
        """Whether scoring or stages holds it."""
        return self.is_scored or self.row["stage"] is not None


async def read_whole(database: Database, lead: UUID | Identifier) -> WholeLead | None:
    """None only if no lead has this identifier; of an id that nobody knows it is empty."""
    if isinstance(lead, UUID):
        rows = await database.lookup(_BY_ID, lead)
    else:
        rows = await database.lookup(_BY_IDENTIFIER, *lead)
    return _whole(rows) if rows else None


def _whole(rows: Sequence[Mapping[str, Any]]) -> WholeLead:
    row = dict(rows[0])
    for name in _PARSED:
        row[name] = _parsed(row[name])
    clocks = [_clock(of_clock) for of_clock in rows if of_clock[_CLOCK_ID] is not None]
    return WholeLead(row, clocks, _parsed(row["identities"]) or ())


def _clock(row: Mapping[str, Any]) -> Row:
    clock = {name: row[shown] for name, shown in _CLOCK_NAMES}
    return {**clock, "pauses": _parsed(clock["pauses"])}


def _parsed(json: str | None) -> Any:
    return None if json is None else from_json(json)
