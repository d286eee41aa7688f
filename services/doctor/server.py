"""What the doctor asks of the database server: can it be reached, is it fit, is its clock ours."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from services.doctor.finding import Finding, failed, ok, warning
from shared.clock import Clock
from shared.db.migrate import is_current

VERSION_MIN: Final = 15
CONNECTIONS_SHARE_MAX: Final = 0.8
# An accord takes effect at the earliest 10 s after it was signed: half of that is lost to a clock that is 5 s off.
SKEW_SECONDS_WARNING: Final = 1.0
SKEW_SECONDS_FAILED: Final = 5.0

CONNECTIONS: Final = """SELECT count(*), current_setting('max_connections')::integer FROM pg_stat_activity
WHERE backend_type = 'client backend'"""
# What may be lost at a power cut if it is off, although a sender was told that it is durable.
DURABLE: Final = ("fsync", "full_page_writes", "synchronous_commit")


async def check_server(connection: Any, clock: Clock) -> Sequence[Finding]:
    """Checks that need no table of Accord."""
    settings = [(name, await connection.fetchval(f"SHOW {name}")) for name in DURABLE]
    used, allowed = await connection.fetchrow(CONNECTIONS)
    before = clock.now()
    there = await connection.fetchval("SELECT clock_timestamp()")
    return (
        fitness(connection.get_server_version().major, connection.get_settings().server_version),
        durability(settings),
        connections(used, allowed),
        skew(before, there, clock.now()),
    )


def fitness(major: int, version: str) -> Finding:
    """Of this version of the server."""
    said = f"PostgreSQL {version}"
    if major < VERSION_MIN:
        return failed("database", said, f"upgrade the server to PostgreSQL {VERSION_MIN} or newer (pg_upgrade)")
    return ok("database", said)


def durability(settings: Sequence[tuple[str, str]]) -> Finding:
    """Of what the server was told to hold back from the disk."""
    off = [name for name, value in settings if value == "off"]
    if off:
        fix = "; ".join(f"ALTER SYSTEM SET {name} = on" for name in off) + "; SELECT pg_reload_conf()"
        return failed("durability", f"{', '.join(off)} off: a power cut loses accepted events", f'psql -c "{fix}"')
    return ok("durability", "commits reach the disk before they are answered")


def connections(used: int, allowed: int) -> Finding:
    """Of how many more the server will take."""
    found = f"{used} of {allowed} connections in use"
    if used > CONNECTIONS_SHARE_MAX * allowed:
        more = f"psql -c 'ALTER SYSTEM SET max_connections = {2 * allowed}' and restart the server"
        return warning("connections", found, more)
    return ok("connections", found)


def skew(before: datetime, there: datetime, after: datetime) -> Finding:
    """Of the two clocks, as far as the time that the question took leaves it certain."""
    half = (after - before) / 2
    off = max(abs(there - (before + half)) - half, timedelta(0)).total_seconds()
    found = f"this machine and the database differ by {off:.1f} s"
    fix = "timedatectl set-ntp true (on both machines), then: timedatectl timesync-status"
    if off > SKEW_SECONDS_FAILED:
        return failed("clock", found, fix)
    if off > SKEW_SECONDS_WARNING:
        return warning("clock", found, fix)
    return ok("clock", found)


async def check_migrations(connection: Any, database_url: str) -> Finding:
    """Whether the tables are there, as this release knows them."""
    if await connection.fetchval("SELECT to_regclass('stream.ownership') IS NULL"):
        return failed("migrations", "this database holds no Accord", "accord migrate")
    if not await is_current(database_url):
        return failed("migrations", "the schema is not the one of this release", "accord migrate")
    return ok("migrations", "the schema is the one of this release")
