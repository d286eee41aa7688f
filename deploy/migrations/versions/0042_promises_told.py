"""What was told of promises on many leads, for the api."""

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""CREATE VIEW sla.published_promises AS
        SELECT promise, since, state, warned_at, settled_at, reached, corrections
        FROM sla.promise_periods WHERE state <> 'withdrawn'""")
