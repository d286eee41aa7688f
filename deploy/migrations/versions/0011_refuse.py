"""What a statement calls that finds something other than it expects: nothing of it happens then."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute(
        """CREATE FUNCTION stream.refuse(what text) RETURNS integer LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION '%', what USING ERRCODE = 'AC001'; END $$"""
    )
