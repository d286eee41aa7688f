"""A refused statement says in words what that means, in Postgres's log too: it said a bare number there."""

from alembic import op

revision = "0034"
down_revision = "0033"

_REFUSE = """CREATE OR REPLACE FUNCTION stream.refuse(what text) RETURNS integer LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION {message} USING ERRCODE = 'AC001', DETAIL = what; END $$"""


def upgrade() -> None:
    words = "'Accord found other rows than its step began from: it changed nothing, and begins again from these'"
    op.execute(_REFUSE.format(message=words))
