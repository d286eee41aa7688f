"""Rescoring: which version each lead carries, how far each version has come, and what is half done of a long history.

Leads are found by partition and version: a rescore reads those that carry the version before, in the order of ids.
"""

from alembic import op
from sqlalchemy import text

from shared.events.topics import partition_of

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

LEADS_PER_UPDATE = 5_000
PARTITIONS = "SELECT value::integer FROM stream.settings WHERE name = 'partitions'"

COLUMNS = (
    "ALTER TABLE scoring.leads ADD COLUMN partition smallint, ADD COLUMN accord integer",
    "UPDATE scoring.leads SET accord = (state::jsonb ->> 2)::integer",
)
STATEMENTS = (
    "ALTER TABLE scoring.leads ALTER COLUMN partition SET NOT NULL, ALTER COLUMN accord SET NOT NULL",
    "CREATE INDEX ix_leads_partition_accord_lead_id ON scoring.leads (partition, accord, lead_id)",
    # One row for each version after the first and each partition, from when its rescore begins. `leads` are all that it
    # has to rescore or has rescored; `after_lead_id` is where the next step goes on.
    """CREATE TABLE scoring.rescores (
        version integer NOT NULL,
        partition smallint NOT NULL,
        leads integer NOT NULL,
        done integer NOT NULL,
        changed integer NOT NULL,
        newly_qualifying integer NOT NULL,
        after_lead_id uuid,
        started_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz,
        CONSTRAINT pk_rescores PRIMARY KEY (version, partition))""",
    # A lead whose history is longer than a step may read: `version` has granted it anew up to `number`.
    """CREATE TABLE scoring.rescoring (
        lead_id uuid NOT NULL CONSTRAINT pk_rescoring PRIMARY KEY,
        version integer NOT NULL,
        number integer NOT NULL,
        line text NOT NULL)""",
    """CREATE VIEW scoring.published_rescores AS
    SELECT version, sum(leads)::integer AS leads, sum(done)::integer AS done, sum(leads - done)::integer AS left,
        sum(changed)::integer AS changed, sum(newly_qualifying)::integer AS newly_qualifying,
        CASE WHEN count(finished_at) = (SELECT value::integer FROM stream.settings WHERE name = 'partitions')
            THEN 'finished' ELSE 'running' END AS state,
        min(started_at) AS started_at, max(finished_at) AS finished_at
    FROM scoring.rescores GROUP BY version""",
)


def upgrade() -> None:
    for statement in COLUMNS:
        op.execute(statement)
    _fill_partitions()
    for statement in STATEMENTS:
        op.execute(statement)


def _fill_partitions() -> None:
    connection = op.get_bind()
    partitions = connection.execute(text(PARTITIONS)).scalar()
    while leads := connection.execute(
        text("SELECT lead_id FROM scoring.leads WHERE partition IS NULL LIMIT :most"), {"most": LEADS_PER_UPDATE}
    ).all():
        rows = [{"lead": lead_id, "partition": partition_of(lead_id, partitions or 1)} for (lead_id,) in leads]
        connection.execute(text("UPDATE scoring.leads SET partition = :partition WHERE lead_id = :lead"), rows)
