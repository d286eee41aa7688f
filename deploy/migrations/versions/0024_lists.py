"""What lists of leads filter and sort by, in the api's own tables, so that no index burdens the tables of the line.

`lead_index` follows the services' leads (ADR 16); `lead_words` is what `?q=` looks in, apart, because it hardly ever
changes. `list_places` says how far the log was followed, `list_state` how far a walk over all leads has come.
"""

from alembic import op

revision = "0024"
down_revision = "0023"

STATEMENTS = (
    """CREATE TABLE api.lead_index (
        lead_id uuid NOT NULL CONSTRAINT pk_lead_index PRIMARY KEY,
        engagement double precision NOT NULL,
        fit integer NOT NULL,
        updated_at timestamptz NOT NULL,
        deadline timestamptz NOT NULL,
        stage text NOT NULL,
        grade text NOT NULL,
        owner text,
        source text,
        first_source text,
        refresh_at timestamptz)""",
    "CREATE INDEX ix_lead_index_engagement ON api.lead_index (engagement, lead_id)",
    "CREATE INDEX ix_lead_index_fit ON api.lead_index (fit, lead_id)",
    "CREATE INDEX ix_lead_index_updated_at ON api.lead_index (updated_at, lead_id)",
    "CREATE INDEX ix_lead_index_deadline ON api.lead_index (deadline, lead_id)",
    "CREATE INDEX ix_lead_index_stage_engagement ON api.lead_index (stage, engagement, lead_id)",
    "CREATE INDEX ix_lead_index_owner ON api.lead_index (owner, engagement, lead_id) WHERE owner IS NOT NULL",
    "CREATE INDEX ix_lead_index_source ON api.lead_index (source)",
    "CREATE INDEX ix_lead_index_first_source ON api.lead_index (first_source)",
    "CREATE INDEX ix_lead_index_refresh_at ON api.lead_index (refresh_at) WHERE refresh_at IS NOT NULL",
    """CREATE TABLE api.lead_words (
        lead_id uuid NOT NULL CONSTRAINT pk_lead_words PRIMARY KEY,
        words text NOT NULL)""",
    # On servers without the extension lists are searched without an index.
    """DO $$ BEGIN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
        CREATE INDEX ix_lead_words_words ON api.lead_words USING gin (words gin_trgm_ops);
    EXCEPTION WHEN undefined_file OR feature_not_supported OR insufficient_privilege THEN
        RAISE WARNING 'pg_trgm is not available: leads are searched without an index';
    END $$""",
    """CREATE TABLE api.list_places (
        place text NOT NULL,
        number integer NOT NULL,
        partition integer NOT NULL,
        next bigint NOT NULL,
        CONSTRAINT pk_list_places PRIMARY KEY (place, number, partition))""",
    """CREATE TABLE api.list_state (
        is_only boolean NOT NULL DEFAULT true CONSTRAINT pk_list_state PRIMARY KEY
            CONSTRAINT ck_list_state_is_only CHECK (is_only),
        walked_through uuid)""",
    # Where something may have been said about a lead, and from where to where that place reaches: partitions of
    # topics in Postgres; on Kafka what each owner has emitted, ten minutes of which stay here.
    """CREATE VIEW stream.published_places AS
        SELECT 'log' AS place, o.topic_id::integer AS number, o.partition::integer AS partition,
            o.first_offset AS first, o.next_offset AS end
        FROM stream.offsets o JOIN stream.topics t USING (topic_id)
        WHERE t.name IN ('accord.score.v1', 'accord.lifecycle.v1', 'accord.sla.v1') AND o.next_offset > 0
        UNION ALL
        SELECT 'outbox', e.emitter_id, 0,
            coalesce((SELECT min(row_number) FROM stream.outbox b WHERE b.emitter_id = e.emitter_id), o.next_row),
            o.next_row
        FROM stream.ownership o JOIN stream.emitters e ON e.name = o.service || '/' || o.number
        WHERE o.kind = 'partition' AND o.next_row > 1""",
    """CREATE VIEW stream.published_log AS
        SELECT topic_id, partition, log_offset, key AS of_lead FROM stream.log""",
    "CREATE VIEW stream.published_outbox AS SELECT emitter_id, row_number, key AS of_lead FROM stream.outbox",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
