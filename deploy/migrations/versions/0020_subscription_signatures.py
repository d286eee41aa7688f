"""Which signatures a subscription asked for."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.execute("ALTER TABLE api.subscriptions ADD COLUMN signatures text[] NOT NULL DEFAULT '{v1}'")
