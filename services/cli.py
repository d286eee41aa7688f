"""The command `accord`. Exit codes: 0 done, 1 it failed and says why, 2 it was called wrongly.

Commands import what only they run: the whole house costs two seconds of CPU, and most commands need none of it.
"""

import asyncio
import sys
from collections.abc import Iterator
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer
from rich.console import Console

from services.accords import commands as accords
from services.sources import commands as sources
from shared.agreement.loading import (
    InvalidAccord,
    describe_problems,
    load_accord,
    warnings,
)
from shared.agreement.schema import schema_text
from shared.clock import SystemClock
from shared.db.data_folder import ADDRESS_FILE, is_in_use
from shared.errors import AccordError
from shared.settings import ProcessSettings
from shared.telemetry.logging import configure_logging, describe_error
from shared.text_file import text_of

if TYPE_CHECKING:
    from services.first_start import Prepared
    from services.skipping import Skipping
    from shared.stream.kafka_client import KafkaClients

app = typer.Typer(name="accord", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(accords.app, name="accords")
app.add_typer(sources.app, name="sources")
out = Console(highlight=False, soft_wrap=True)
log = structlog.get_logger(component="cli")
err = Console(stderr=True, highlight=False, soft_wrap=True)

DEFAULT_DATA = Path("accord-data")


@app.command()
def up(
    data: Annotated[Path, typer.Option(help="Folder for everything that must last.", file_okay=False)] = DEFAULT_DATA,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)] = 8080,
    accord: Annotated[
        Path | None, typer.Option(help="The agreement, for the first start.", exists=True, dir_okay=False)
    ] = None,
) -> None:
    """Start everything in one process: Postgres, ingest, scoring, stages, clocks, deliveries, API."""
    from services import standalone
    from services.first_start import read_accord

    settings = standalone.StandaloneSettings()
    configure_logging(settings.log_level, settings.log_format)
    standalone.up(standalone.Start(data.absolute(), host, port, read_accord(accord)), settings, _announce)


@app.command()
def run(
    service: Annotated[str, typer.Argument(help="ingest, scoring, stages, sla-monitor, delivery or api.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)] = 8080,
) -> None:
    """Start one service in a process of its own; as many of each as you like share the work."""
    from services import process

    _require_service(service)
    settings = process.ApartSettings()
    configure_logging(settings.log_level, settings.log_format)
    process.run(
        service, (host, port), settings, lambda url: out.print(f"Accord is up: {url}  ({service})", markup=False)
    )


@app.command()
def migrate(
    accord: Annotated[
        Path | None, typer.Option(help="The first agreement; else the packaged one.", exists=True, dir_okay=False)
    ] = None,
) -> None:
    """Bring the database named by ACCORD_DATABASE_URL to this release's schema, with a first accord and admin key."""
    from services.first_start import FirstStartSettings, prepare, read_accord
    from services.sealing import box_of

    settings = FirstStartSettings()
    if settings.database_url is None:
        raise typer.BadParameter("set ACCORD_DATABASE_URL; `accord up` migrates its own Postgres by itself")
    box = box_of(settings.secret_key)
    database_url = settings.database_url.get_secret_value()
    prepared = asyncio.run(prepare(database_url, read_accord(accord), settings.admin_key, box))
    _tell(prepared, f"The database is up to date.  (accord version {prepared.accord_version})")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="An accord in YAML or JSON.", exists=True, dir_okay=False)],
) -> None:
    """Check an agreement: every error at once, each with its line, what was found and what is allowed."""
    try:
        document = load_accord(text_of(file))
    except InvalidAccord as error:
        out.print(describe_problems(error.problems), markup=False)
        raise typer.Exit(1) from None
    for warning in warnings(document):
        out.print(f"warning: {warning}", markup=False)
    out.print(f"{file} is a valid accord.", markup=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema of an accord, for editors (docs/accord.schema.json is the same)."""
    typer.echo(schema_text(), nl=False)


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
    from services.partitions import resume as let_go_on

    _require_service(service)
    asyncio.run(let_go_on(_migrated(_database_of(data)), service, partition))
    out.print(f"{service}/{partition} goes on.", markup=False)


@app.command()
def skip(
    service: str,
    partition: int,
    data: Annotated[Path, typer.Option(help="The data folder of a running `accord up`.")] = DEFAULT_DATA,
    yes: Annotated[bool, typer.Option("--yes", help="Give up what is missing, for good.")] = False,
) -> None:
    """Show what a partition in a gap waits for, and with --yes let it go on without."""
    from services.skipping import Skipping

    _require_service(service)
    asyncio.run(_skip(Skipping(_migrated(_database_of(data)), service, partition, _kafka()), yes=yes))


@app.command()
def renumber(
    yes: Annotated[bool, typer.Option("--yes", help="Do it, not only say what would be done.")] = False,
) -> None:
    """After Postgres was restored from a backup, let numbers go on after those that Kafka has."""
    from services import renumbering

    kafka = _kafka()
    if kafka is None:
        raise typer.BadParameter("set ACCORD_KAFKA; where the log is in Postgres, a backup has all of it")
    ahead = asyncio.run(renumbering.renumber(_migrated(_database_of(DEFAULT_DATA)), kafka, carry_out=yes))
    for (emitter, topic, partition), (given, found) in ahead.items():
        out.print(f"{emitter} on {topic}/{partition}: given to {given}, on Kafka to {found}", markup=False)
    if ahead and not yes:
        raise AccordError("nothing was changed: with --yes the numbers go on after those on Kafka")
    out.print("Numbers go on after what Kafka has." if ahead else "Postgres knows every number that Kafka has.")


@app.command()
def doctor(
    data: Annotated[Path, typer.Option(help="The data folder of a running `accord up`.")] = DEFAULT_DATA,
    as_json: Annotated[bool, typer.Option("--json", help="As a list of JSON objects.")] = False,
) -> None:
    """Check everything that a running Accord leans on; says what to do about what is wrong."""
    from services.doctor.main import examine, tell

    findings = asyncio.run(examine(_database_of(data), SystemClock(), _kafka()))
    if not tell(findings, out, as_json=as_json):
        raise typer.Exit(1)


@app.command()
def audit(
    data: Annotated[Path, typer.Option(help="The data folder of `accord up`, running or not.")] = DEFAULT_DATA,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: one JSON object.")] = False,
    processes: Annotated[int | None, typer.Option(help="How many may work at once; all cores.", min=1, max=64)] = None,
) -> None:
    """Check that nothing was lost or counted twice, and that every state is the fold of its history."""
    from services.audit.main import run_audit

    raise typer.Exit(run_audit(data, as_json=as_json, processes=processes))


@app.command()
def version() -> None:
    """Say which release this is."""
    out.print(package_version("accord"))


def main() -> None:
    """The entry point: errors that people can act on are one sentence, without a traceback."""
    try:
        app()
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


def _announce(url: str, prepared: "Prepared") -> None:
    _tell(prepared, f"Accord is up: {url}  (accord version {prepared.accord_version})")
    if prepared.admin_key:
        out.print(f"Today, signed in with it: {url}/sign-in#{prepared.admin_key}", markup=False)


def _tell(prepared: "Prepared", done: str) -> None:
    out.print(done, markup=False)
    if prepared.admin_key:
        out.print(f"Admin key, shown this once: {prepared.admin_key}", markup=False)


def _require_service(service: str) -> None:
    from services.composition import SERVICES

    if service not in SERVICES:
        raise typer.BadParameter(f"there is no service {service}; there are {', '.join(SERVICES)}")


def _database_of(data: Path) -> str:
    settings = ProcessSettings()
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    address = data / ADDRESS_FILE
    if not address.exists():
        raise typer.BadParameter(
            f"there is no Accord in {data}: name its folder with --data, or set ACCORD_DATABASE_URL"
        )
    if not is_in_use(data):
        raise AccordError(f"no Accord runs in {data}, and so its Postgres doesn't: start `accord up --data {data}`")
    return address.read_text().strip()


def _migrated(database_url: str) -> str:
    """This address, once it is known that the database there has this release's schema."""
    from shared.db.migrate import require_migrated

    asyncio.run(require_migrated(database_url))
    return database_url


def _kafka() -> "KafkaClients | None":
    from shared.stream.kafka_client import KafkaClients, KafkaSettings

    settings = KafkaSettings()
    return KafkaClients(settings) if settings.kafka else None


async def _skip(skipping: "Skipping", *, yes: bool) -> None:
    missing = await skipping.look()
    out.print(skipping.describe(missing), markup=False)
    if not yes:
        raise AccordError("nothing was skipped: with --yes the service goes on without what is missing, for good")
    await skipping.skip(missing)
    out.print("It goes on; stream.skips keeps a record.")


if __name__ == "__main__":
    main()
