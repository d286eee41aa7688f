"""The command `accord`. Exit codes: 0 done, 1 it failed and says why, 2 it was called wrongly."""

import asyncio
import sys
from collections.abc import Iterator
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated

import asyncpg
import structlog
import typer
from pydantic import ValidationError
from rich.console import Console

from services import skipping, standalone
from services.composition import DEFAULT_PARTITIONS, CompositionSettings
from services.doctor.main import examine, tell
from services.standalone import StandaloneSettings, Start, Started
from shared.agreement.loading import InvalidAccord, describe_problems, load_accord, not_yet_executed, warnings
from shared.clock import SystemClock
from shared.db.engine import dsn
from shared.db.migrate import upgrade
from shared.errors import AccordError
from shared.events.topics import READERS, TOPICS
from shared.settings import ProcessSettings
from shared.stream.operations import resume_partition
from shared.stream.setup import initialise, register_readers
from shared.telemetry.logging import configure_logging, describe_error

app = typer.Typer(name="accord", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
out = Console(highlight=False, soft_wrap=True)
log = structlog.get_logger(component="cli")
err = Console(stderr=True, highlight=False, soft_wrap=True)

DEFAULT_DATA = Path("accord-data")


@app.command()
def up(
    data: Annotated[Path, typer.Option(help="Folder for everything that must last.")] = DEFAULT_DATA,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)] = 8080,
    accord: Annotated[
        Path | None, typer.Option(help="The agreement, for the first start.", exists=True, dir_okay=False)
    ] = None,
) -> None:
    """Start everything in one process: Postgres, ingest, scoring, stages, clocks, deliveries, API."""
    settings = StandaloneSettings()
    configure_logging(settings.log_level, settings.log_format)
    standalone.up(Start(data.absolute(), host, port, accord), settings, _announce)


@app.command()
def migrate() -> None:
    """Bring the database named by ACCORD_DATABASE_URL to this release's schema."""
    settings = ProcessSettings()
    if settings.database_url is None:
        raise typer.BadParameter("set ACCORD_DATABASE_URL; `accord up` migrates its own Postgres by itself")
    asyncio.run(_migrate(settings.database_url.get_secret_value()))
    out.print("The database is up to date.")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="An accord in YAML or JSON.", exists=True, dir_okay=False)],
) -> None:
    """Check an agreement: every error at once, each with its line, what was found and what is allowed."""
    try:
        document = load_accord(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise AccordError(f"{file} is not UTF-8 text: byte {error.start}") from None
    except InvalidAccord as error:
        out.print(describe_problems(error.problems), markup=False)
        raise typer.Exit(1) from None
    for warning in warnings(document):
        out.print(f"warning: {warning}", markup=False)
    for line in not_yet_executed(document):
        out.print(f"not yet executed: {line}", markup=False)
    out.print(f"{file} is a valid accord.", markup=False)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself, with a line of JSON at the end.")] = False,
    seed: Annotated[int, typer.Option(help="Another season of the same company.")] = 7,
) -> None:
    """Start Accord and send it the traffic of a small company's season."""
    from services.demo.main import run_demo

    raise typer.Exit(run_demo(once=once, seed=seed))


@app.command()
def resume(
    service: str,
    partition: int,
    data: Annotated[Path, typer.Option(help="The data folder of a running `accord up`.")] = DEFAULT_DATA,
) -> None:
    """Let a partition go on that was stopped because too many of its events could not be applied."""
    if asyncio.run(_resume(_database_of(data), service, partition)):
        out.print(f"{service}/{partition} goes on.", markup=False)
        return
    raise AccordError(f"{service}/{partition} is not stopped")


@app.command()
def skip(
    service: str,
    partition: int,
    data: Annotated[Path, typer.Option(help="The data folder of a running `accord up`.")] = DEFAULT_DATA,
    yes: Annotated[bool, typer.Option("--yes", help="Give up what is missing, for good.")] = False,
) -> None:
    """Show what a partition in a gap waits for, and with --yes let it go on without."""
    database_url = _database_of(data)
    missing = asyncio.run(skipping.look(database_url, service, partition))
    out.print(skipping.describe(service, partition, missing), markup=False)
    if not yes:
        raise AccordError(f"nothing was skipped: with --yes {service} never applies these events")
    asyncio.run(skipping.skip(database_url, service, partition, missing))
    out.print(f"{service}/{partition} goes on without them; stream.skips keeps a record.", markup=False)


@app.command()
def doctor(
    data: Annotated[Path, typer.Option(help="The data folder of a running `accord up`.")] = DEFAULT_DATA,
    as_json: Annotated[bool, typer.Option("--json", help="As a list of JSON objects.")] = False,
) -> None:
    """Check everything that a running Accord leans on; says what to do about what is wrong."""
    findings = asyncio.run(examine(_database_of(data), SystemClock()))
    if not tell(findings, out, as_json=as_json):
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Say which release this is."""
    out.print(package_version("accord"))


def main() -> None:
    """The entry point: errors that people can act on are one sentence, without a traceback."""
    try:
        app()
    except ValidationError as error:
        for found in error.errors(include_input=False):
            err.print(f"error: ACCORD_{'_'.join(map(str, found['loc'])).upper()}: {found['msg']}", markup=False)
        sys.exit(1)
    except (AccordError, OSError) as error:
        err.print(f"error: {error}", markup=False)
        sys.exit(1)
    except ExceptionGroup as group:
        # A part of a running Accord ended that never should; the whole process ends, to be started again.
        for failure in _causes(group):
            log.error("process_failed", **describe_error(failure))
        sys.exit(1)


def _causes(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    """What failed, without the groups around it."""
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _causes(error)
        else:
            yield error


def _announce(started: Started) -> None:
    for line in started.not_yet_executed:
        out.print(f"not yet executed: {line}", markup=False)
    out.print(f"Accord is up: {started.url}  (accord version {started.accord_version})", markup=False)
    if started.admin_key:
        out.print(f"Admin key, shown this once: {started.admin_key}", markup=False)


def _database_of(data: Path) -> str:
    settings = ProcessSettings()
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    address = data / standalone.ADDRESS_FILE
    if not address.exists():
        raise typer.BadParameter(
            f"there is no Accord in {data}: name its folder with --data, or set ACCORD_DATABASE_URL"
        )
    return address.read_text().strip()


async def _migrate(database_url: str) -> None:
    await upgrade(database_url)
    connection = await asyncpg.connect(dsn(database_url))
    try:
        settings = CompositionSettings()
        partitions, _ = await initialise(
            connection, topics=TOPICS, partitions=settings.partitions, default=DEFAULT_PARTITIONS
        )
        await register_readers(connection, READERS, partitions)
    finally:
        await connection.close()


async def _resume(database_url: str, service: str, partition: int) -> bool:
    connection = await asyncpg.connect(dsn(database_url))
    try:
        return await resume_partition(connection, service, partition)
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
