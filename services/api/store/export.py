"""Everything that Accord holds about one lead: every published row that bears its id."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from services.api.store.database import Database

# What each part of an export is called, the view that it comes from, and how its rows are ordered.
PARTS: Final[dict[str, tuple[str, str]]] = {
    "identities": ("ingest.published_identities", "kind, value"),
    "scores": ("scoring.published_leads", "lead_id"),
    "activities": ("scoring.published_history", "number"),
    "grants": ("scoring.published_grants", "received_at, event_id, rule"),
    "stages": ("stages.published_leads", "lead_id"),
    "stage_times": ("stages.published_stages", "version"),
    "transitions": ("stages.published_transitions", "version"),
    "inputs_of_stages": ("stages.published_history", "number"),
    "actions": ("stages.published_actions", "received_at, event_id"),
    "assignments": ("stages.published_assignments", "received_at, event_id"),
    "clocks": ("sla.published_clocks", "started_at, clock_id"),
    "clock_events": ("sla.published_clock_events", "occurred_at, event_id"),
    "promise_entries": ("sla.published_promise_entries", "since, promise"),
    "deliveries": ("delivery.published_deliveries", "created_at, delivery_id"),
    "events_told": ("delivery.published_events", "number"),
    "attempts": ("delivery.published_attempts", "started_at, delivery_id, attempt"),
    "dead_letters": ("stream.published_dead_letters", "buried_at, letter_id"),
}


class ExportStore:
    """Reads the parts in one snapshot."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def everything(self, lead_id: UUID) -> dict[str, Any]:
        """Rows as JSON values, by part."""
        parts = [
            f"(SELECT coalesce(jsonb_agg(to_jsonb(v) - 'lead_id' ORDER BY {order}), '[]')"
            f" FROM {view} v WHERE lead_id = :lead_id) AS {name}"
            for name, (view, order) in PARTS.items()
        ]
        row = await self._database.row(text(f"SELECT {', '.join(parts)}").bindparams(lead_id=lead_id))
        assert row is not None
        return row
