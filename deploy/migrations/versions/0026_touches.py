"""sla.leads.touches: all the latest times of each action, where the last one stood alone."""

from alembic import op

revision = "0026"
down_revision = "0025"

STATEMENTS = (
    """UPDATE sla.leads SET touches = (
        SELECT json_object_agg(key, json_build_array(value)) FROM json_each_text(touches))
        WHERE touches::text <> '{}'""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
