"""stages.leads.state: the snoozes that still run, and when sales last touched the lead. Both begin empty."""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE stages.leads SET state = left(state, -1) || ',[],null]'")


def downgrade() -> None:
    op.execute(
        """UPDATE stages.leads SET state = (
            SELECT json_agg(value ORDER BY number)
            FROM json_array_elements(state::json) WITH ORDINALITY AS field (value, number) WHERE number <= 7)::text"""
    )
