"""What a lead counts for is part of what is held about it: the api's export shows it."""

from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""CREATE VIEW sla.published_promise_entries AS
        SELECT lead_id, promise, since, entered_at, accord, is_chosen, is_counted, amount, is_other_currency
        FROM sla.promise_entries""")
