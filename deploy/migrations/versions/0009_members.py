"""Which processes share the partitions of a service, and when each was last seen."""

from alembic import op

revision = "0009"
down_revision = "0008"

STATEMENTS = (
    """CREATE TABLE stream.members (
        service text NOT NULL,
        owner text NOT NULL,
        seen_at timestamptz NOT NULL,
        CONSTRAINT pk_members PRIMARY KEY (service, owner)) WITH (fillfactor = 50)""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
