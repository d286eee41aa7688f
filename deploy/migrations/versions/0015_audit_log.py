"""Who changed what: every change of what people configure leaves a row, written by the table itself, so that no way of
changing it is forgotten. Keys may be limited to one owner's leads, and have a former secret while they are rotated.

Secrets never stand in the log: a field whose name says that it is one shows only that it was set or changed.
"""

from alembic import op

revision = "0015"
down_revision = "0014"

AUDITED = (
    ("keys", "key", "key_id"),
    ("sources", "source", "source_id"),
    ("subscriptions", "subscription", "subscription_id"),
    ("owners", "owner", "owner"),
    ("accords", "accord", "version"),
    ("signatures", "signature", "version"),
)

STATEMENTS = (
    """CREATE TABLE api.audit_log (
        entry bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_audit_log PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        actor text NOT NULL,
        actor_name text,
        role text,
        action text NOT NULL,
        subject text NOT NULL,
        subject_id text NOT NULL,
        before jsonb,
        after jsonb)""",
    "CREATE INDEX ix_audit_log_subject_subject_id_entry ON api.audit_log (subject, subject_id, entry)",
    # The request says who acts (services/api/store/database.py); everybody else is known by their database role.
    """CREATE FUNCTION api.note(action text, subject text, subject_id text, before jsonb, after jsonb) RETURNS void
    LANGUAGE sql AS $$
        INSERT INTO api.audit_log (actor, actor_name, role, action, subject, subject_id, before, after)
        SELECT coalesce(who ->> 'id', 'database:' || session_user), who ->> 'name', who ->> 'role', action, subject,
            subject_id, before, after
        FROM (SELECT nullif(current_setting('accord.actor', true), '')::jsonb AS who) AS acting
    $$""",
    """CREATE FUNCTION api.without_secrets(fields jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
        SELECT jsonb_object_agg(name, CASE
            WHEN name ~ 'secret|private|password|settings' AND value NOT IN ('null', '{}') THEN '"(hidden)"'
            ELSE value END)
        FROM jsonb_each(fields - ARRAY['document', 'source_text']) AS field (name, value)
    $$""",
    """CREATE FUNCTION api.note_change() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        former jsonb := CASE TG_OP WHEN 'INSERT' THEN NULL ELSE to_jsonb(OLD) END;
        present jsonb := CASE TG_OP WHEN 'DELETE' THEN NULL ELSE to_jsonb(NEW) END;
        id text := coalesce(present, former) ->> TG_ARGV[1];
        word text := CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'DELETE' THEN 'deleted' ELSE 'changed' END;
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            IF former = present THEN RETURN NULL; END IF;
            word := CASE
                WHEN former ->> 'deleted_at' IS NULL AND present ->> 'deleted_at' IS NOT NULL THEN 'deleted'
                WHEN former ->> 'revoked_at' IS NULL AND present ->> 'revoked_at' IS NOT NULL THEN 'revoked'
                ELSE 'changed' END;
            SELECT jsonb_object_agg(o.name, o.value), jsonb_object_agg(n.name, n.value) INTO former, present
            FROM jsonb_each(former) AS o (name, value) JOIN jsonb_each(present) AS n (name, value) USING (name)
            WHERE o.value <> n.value;
        END IF;
        PERFORM api.note(TG_ARGV[0] || '.' || word, TG_ARGV[0], id, api.without_secrets(former),
            api.without_secrets(present));
        RETURN NULL;
    END $$""",
    *(
        f"""CREATE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE ON api.{table}
        FOR EACH ROW EXECUTE FUNCTION api.note_change('{subject}', '{id_}')"""
        for table, subject, id_ in AUDITED
    ),
    """ALTER TABLE api.keys ADD COLUMN owner text, ADD COLUMN former_secret_sha256 bytea,
        ADD COLUMN former_until timestamptz""",
    # Beside the keys, not in them: a use is no change.
    """CREATE TABLE api.key_uses (
        key_id text NOT NULL CONSTRAINT pk_key_uses PRIMARY KEY,
        last_used_at timestamptz NOT NULL)""",
    """CREATE OR REPLACE VIEW api.published_keys AS
        SELECT key_id, secret_sha256, name, role, scopes, source_id, expires_at, revoked_at, owner,
            former_secret_sha256, former_until FROM api.keys""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
