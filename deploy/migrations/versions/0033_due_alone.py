"""The index of what is due serves that question alone. While Postgres has no statistics (a new database), or knows the
queue as empty, every index looks equally good to it, and it searched this one for a lead's earlier deliveries: all that
is due, for each row that a claim looked at. Its predicate now holds a condition that only its own question implies.
"""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP INDEX delivery.ix_deliveries_subscription_id_next_attempt_at_number")
    op.execute(
        """CREATE INDEX ix_deliveries_subscription_id_next_attempt_at_number
        ON delivery.deliveries (subscription_id, next_attempt_at, number)
        WHERE state = 'pending' AND next_attempt_at IS NOT NULL"""
    )
