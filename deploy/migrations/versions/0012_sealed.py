"""A known text, sealed: it tells whether a process was given the key that the secrets in this database are under."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute(
        """CREATE TABLE api.sealed_check (
        is_only boolean NOT NULL DEFAULT true CONSTRAINT pk_sealed_check PRIMARY KEY
            CONSTRAINT ck_sealed_check_is_only CHECK (is_only),
        sealed text NOT NULL)"""
    )
