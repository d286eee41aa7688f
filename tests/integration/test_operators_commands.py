"""Commands of operators say in one sentence what they can't do, and name what is there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from contract.worlds import PostgresWorld
from database_addresses import on_database
from typer.testing import CliRunner

from services.audit.main import NOT_DONE
from services.cli import app
from services.partitions import NoSuchPartition, NotStopped, resume
from services.skipping import Skipping
from shared.db.connections import CannotConnect, connect
from shared.errors import AccordError

SECRET = "hush/12@here"


def refused(address: str, command: Sequence[str]) -> str:
    """What a command says on this database, where it can't do its work."""
    result = CliRunner(env={"ACCORD_DATABASE_URL": address}).invoke(app, command)
    assert isinstance(result.exception, AccordError), result.exc_info
    return str(result.exception)


@pytest.mark.parametrize("command", ["resume scoring 0", "skip scoring 0"])
def test_a_database_without_accord_is_named_as_such(postgres_url: str, command: str) -> None:
    said = refused(on_database(postgres_url, "postgres"), command.split())
    assert "has no schema of Accord" in said
    assert "run `accord migrate` first" in said


@pytest.mark.parametrize("address", ["postgresql://accord@127.0.0.1:1/accord", ""])
def test_an_audit_that_cant_be_done_says_why(postgres_url: str, tmp_path: Path, address: str) -> None:
    runner = CliRunner(env={"ACCORD_DATABASE_URL": address or on_database(postgres_url, "postgres")})
    result = runner.invoke(app, ["audit", "--data", str(tmp_path)])
    assert result.exit_code == NOT_DONE
    why = "cannot connect to the database at 127.0.0.1:1: " if address else "has no schema of Accord"
    [line] = result.stderr.splitlines()
    assert line.startswith("error: the audit couldn't be done: ")
    assert why in line


@pytest.mark.parametrize("place", ["host:5432x/accord", "host:99999/accord", "host/accord"])
async def test_an_address_that_cant_be_read_is_refused_without_what_may_be_its_password(place: str) -> None:
    with pytest.raises(CannotConnect, match="ACCORD_DATABASE_URL") as said:
        await connect(f"postgresql://accord:{SECRET}@{place}", "test")
    assert "hush" not in str(said.value)
    assert "12" not in str(said.value).replace("5432", "")


async def test_an_option_of_an_address_that_isnt_known_is_named() -> None:
    with pytest.raises(CannotConnect, match="sslmode"):
        await connect("postgresql://accord@127.0.0.1:1/accord?sslmode=sometimes", "test")


async def test_only_partitions_that_there_are_can_be_resumed_or_skipped(database_url: str, pool: Any) -> None:
    world = await PostgresWorld.open(database_url, pool)
    try:
        for service, partition, there in (("scoring", 99, "0 to "), ("stages", -1, "0 to "), ("api", 0, "scoring")):
            with pytest.raises(NoSuchPartition, match=there):
                await resume(database_url, service, partition)
            with pytest.raises(NoSuchPartition, match=there):
                await Skipping(database_url, service, partition).look()
        with pytest.raises(NotStopped):
            await resume(database_url, "scoring", 0)
    finally:
        world.close()
