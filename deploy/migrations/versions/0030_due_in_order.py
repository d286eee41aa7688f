"""Due deliveries in the order in which they are claimed: of a burst that fell due at one instant, a claim reads what it
takes, and no longer sorts all of it."""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """CREATE INDEX ix_deliveries_subscription_id_next_attempt_at_number
        ON delivery.deliveries (subscription_id, next_attempt_at, number) WHERE state = 'pending'"""
    )
    op.execute("DROP INDEX delivery.ix_deliveries_subscription_id_next_attempt_at")
