"""`accord doctor`: looks at everything that a running Accord leans on, and says what to do about what is wrong.

It only reads, and may be run anywhere that reaches the database, also while Accord is down.
"""

from collections.abc import Sequence

from pydantic_core import to_json
from rich.console import Console

from services.carriers import LogSettings
from services.doctor.finding import Finding, State, failed
from services.doctor.kafka import check_kafka
from services.doctor.line import check_line
from services.doctor.server import check_migrations, check_server
from shared.clock import Clock
from shared.db.connections import CannotConnect, connect
from shared.db.faults import DATABASE_ERRORS
from shared.stream.kafka_client import KafkaClients

_SIGNS = {State.OK: "ok     ", State.WARNING: "warning", State.FAILED: "failed "}


async def examine(database_url: str, clock: Clock, kafka: KafkaClients | None = None) -> Sequence[Finding]:
    """Every check that can be made; what rests on a check that failed is left out."""
    findings: list[Finding] = []
    try:
        connection = await connect(database_url, "accord-doctor")
    except CannotConnect as error:
        return [_unreachable(error)]
    try:
        findings.extend(await check_server(connection, clock))
        findings.append(migrations := await check_migrations(connection, database_url))
        if migrations.state is State.OK:
            findings.extend(await check_line(connection, log_bytes_max=LogSettings().log_bytes_max))
            if kafka is not None:
                findings.extend(await check_kafka(connection, kafka))
    except DATABASE_ERRORS as error:
        findings.append(_unreachable(error))
    finally:
        connection.terminate()
    return findings


def tell(findings: Sequence[Finding], out: Console, *, as_json: bool) -> bool:
    """Prints the findings, one a line with its fix below. True if nothing failed."""
    if as_json:
        out.print(to_json([finding._asdict() for finding in findings], indent=1).decode(), markup=False)
    else:
        for finding in findings:
            out.print(f"{_SIGNS[finding.state]}  {finding.check}: {finding.found}", markup=False)
            if finding.fix is not None:
                out.print(f"         -> {finding.fix}", markup=False)
    return all(finding.state is not State.FAILED for finding in findings)


def _unreachable(error: BaseException) -> Finding:
    found = f"can't be asked: {type(error).__name__} {error}".rstrip()
    return failed("database", found, "check ACCORD_DATABASE_URL, then: psql $ACCORD_DATABASE_URL -c 'SELECT 1'")
