"""Erasure: who asked for it, and each service's tombstones, by which what still surfaces of an erased lead is dropped.

Scoring and stages keep the ids of events that they forgot, without their lead, so that an audit can still say what
became of each accepted one.
"""

from alembic import op

revision = "0023"
down_revision = "0022"

SCHEMAS = ("ingest", "scoring", "stages", "sla", "delivery")
KEEPING_IDS = ("scoring", "stages")

STATEMENTS = (
    """CREATE TABLE api.erasures (
        lead_id uuid NOT NULL CONSTRAINT pk_erasures PRIMARY KEY,
        requested_at timestamptz NOT NULL,
        requested_by text NOT NULL)""",
    "CREATE INDEX ix_erasures_requested_at ON api.erasures (requested_at)",
    "CREATE VIEW api.published_erasures AS SELECT lead_id, requested_at FROM api.erasures",
    *(
        f"""CREATE TABLE {schema}.erased (
        lead_id uuid NOT NULL CONSTRAINT pk_erased PRIMARY KEY,
        erased_at timestamptz NOT NULL DEFAULT now())"""
        for schema in SCHEMAS
    ),
    *(
        f"""CREATE TABLE {schema}.erased_events (
        event_id uuid NOT NULL CONSTRAINT pk_erased_events PRIMARY KEY)"""
        for schema in KEEPING_IDS
    ),
    *(f"CREATE VIEW {schema}.published_erased AS TABLE {schema}.erased" for schema in SCHEMAS),
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
