"""When each lead was first seen, with the lead: what counts those of a period reads this index alone."""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_history_received_at_lead_id ON scoring.history (received_at, lead_id) WHERE number = 1")
    op.execute("DROP INDEX scoring.ix_history_received_at")
    op.execute(
        """CREATE VIEW scoring.published_first_inputs AS
        SELECT lead_id, received_at FROM scoring.history WHERE number = 1"""
    )
