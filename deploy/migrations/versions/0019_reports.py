"""What reports over a period look up: transitions by time, and when each lead was first seen (its first input only)."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute("CREATE INDEX ix_transitions_occurred_at ON stages.transitions (occurred_at)")
    op.execute("CREATE INDEX ix_history_received_at ON scoring.history (received_at) WHERE number = 1")
