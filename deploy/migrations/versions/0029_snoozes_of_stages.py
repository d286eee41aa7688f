"""stages.leads.state: the snoozes that still run, and when sales last touched the lead. Both begin empty."""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE stages.leads SET state = left(state, -1) || ',[],null]'")
