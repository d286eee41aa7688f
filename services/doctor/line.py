"""What the doctor asks of the line: is an accord in force, does every partition move, what lies aside."""

from collections.abc import Sequence
from typing import Any, Final

from services.doctor.finding import Finding, failed, ok, warning
from shared.stream.operations import GAPS

UNREAD_EVENTS_WARNING: Final = 10_000
LOG_SHARE_WARNING: Final = 0.8

ACCORD: Final = """SELECT max(version) FILTER (WHERE effective_at <= now()), count(*) FROM api.published_accords"""
STOPPED: Final = """SELECT service, number, breaker ->> 'release' FROM stream.ownership
WHERE kind = 'partition' AND (breaker ->> 'is_stopped')::boolean ORDER BY 1, 2"""
# An owner's session says which partition it is for, and ends with its process.
UNOWNED: Final = """SELECT service, array_agg(number ORDER BY number) FROM stream.ownership o
WHERE kind = 'partition' AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'accord-owner ' || service || '/' || number)
GROUP BY service ORDER BY service"""
# By numbers and not by offsets, so that it is true on every carrier, and counts what was not shipped yet.
UNREAD: Final = """SELECT o.service,
    sum(greatest(s.seq - coalesce((o.positions #>> ARRAY[t.name, '1', e.name])::bigint, 0), 0))::bigint
FROM stream.sequences s JOIN stream.topics t USING (topic_id) JOIN stream.emitters e USING (emitter_id)
JOIN stream.ownership o ON o.kind = 'partition' AND o.number = s.partition AND o.positions ? t.name
GROUP BY o.service ORDER BY o.service"""
LETTERS: Final = """SELECT service, count(*) FROM stream.dead_letters WHERE state = 'open' GROUP BY 1 ORDER BY 1"""
LOG_BYTES: Final = "SELECT pg_total_relation_size('stream.log') + pg_total_relation_size('stream.outbox')"
TO_LETTERS: Final = "read docs/operations.md#accorddeadletters, repair the cause, and replay them"


async def check_line(connection: Any, *, log_bytes_max: int) -> Sequence[Finding]:
    """Checks of Accord's own tables."""
    in_force, signed = await connection.fetchrow(ACCORD)
    of_tables = [await check(connection) for check in (_stopped, _gaps, _unowned, _unread, _letters)]
    log_bytes = int(await connection.fetchval(LOG_BYTES))
    return accord(in_force, signed), *of_tables, log(log_bytes, log_bytes_max)


def accord(in_force: int | None, signed: int) -> Finding:
    """Of the version in force now, and how many are signed."""
    if in_force is not None:
        return ok("accord", f"version {in_force} is in force")
    if signed:
        return warning("accord", "signed, but not yet in force", "wait until its effective_at has come")
    return failed("accord", "no accord is signed, so nothing can be decided", "accord migrate --accord FILE")


async def _stopped(connection: Any) -> Finding:
    stopped = await connection.fetch(STOPPED)
    if not stopped:
        return ok("breaker", "no partition is stopped")
    found = ", ".join(f"{service}/{number} (by release {release})" for service, number, release in stopped)
    commands = "; ".join(f"accord resume {service} {number}" for service, number, _ in stopped)
    return failed("breaker", f"stopped: {found}", f"repair or roll back the release, then: {commands}")


async def _gaps(connection: Any) -> Finding:
    gaps = await connection.fetch(GAPS)
    if not gaps:
        return ok("gaps", "no partition waits for missing events")
    found = "; ".join(
        f"{service}/{number} waits for {emitter} {expected} to {seq - 1} on {topic}"
        for service, number, topic, emitter, expected, seq in gaps
    )
    commands = "; ".join(f"accord skip {service} {number}" for service, number, *_ in gaps)
    return failed("gaps", found, f"if they can't come any more: {commands}")


async def _unowned(connection: Any) -> Finding:
    unowned = await connection.fetch(UNOWNED)
    if not unowned:
        return ok("owners", "every partition has an owner")
    found = "; ".join(f"{service}: {', '.join(map(str, numbers))}" for service, numbers in unowned)
    commands = "; ".join(f"accord run {service}" for service, _ in unowned)
    return failed("owners", f"nobody runs {found}", f"accord up, or: {commands}")


async def _unread(connection: Any) -> Finding:
    unread = [(service, int(events)) for service, events in await connection.fetch(UNREAD)]
    found = ", ".join(f"{service} {events}" for service, events in unread) or "nothing was emitted yet"
    if most := [service for service, events in unread if events > UNREAD_EVENTS_WARNING]:
        commands = "; ".join(f"accord run {service}" for service in most)
        return warning("lag", f"events not read: {found}", f"start more processes: {commands}")
    return ok("lag", f"events not read: {found}")


async def _letters(connection: Any) -> Finding:
    letters = await connection.fetch(LETTERS)
    if letters:
        found = ", ".join(f"{service} {count}" for service, count in letters)
        return warning("dead letters", f"open: {found}", TO_LETTERS)
    return ok("dead letters", "none is open")


def log(size: int, bound: int) -> Finding:
    """Of the log's size beside its bound."""
    found = f"{size / 1024**2:,.0f} MiB of {bound / 1024**2:,.0f} MiB"
    more = f"get the reader going that lags; if the disk allows: ACCORD_LOG_BYTES_MAX={2 * bound}"
    if size > bound:
        return failed("log", found, more)
    if size > LOG_SHARE_WARNING * bound:
        return warning("log", found, more)
    return ok("log", found)
