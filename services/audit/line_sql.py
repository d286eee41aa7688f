"""SQL of the line's own checks: the log, its counters, its readers. Each statement of `statements` gives one column, a
sentence per difference; names in them are ours, never input."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from services.audit.findings import Check
from shared.events.activity import Activity, ProfileUpdated
from shared.events.sales import SalesAction
from shared.events.topics import ACTIVITY, SALES


class Line(NamedTuple):
    """What the line of this database is like. On Kafka a reader's offset is Kafka's, and producers that this database
    doesn't know may have sent events too."""

    partitions: int
    is_on_kafka: bool


IS_ON_KAFKA: Final = "SELECT EXISTS (SELECT FROM stream.ownership WHERE next_row > 1)"

# How far each reader has counted each emitter's numbers, beside how far the emitter has.
READS: Final = """reads AS MATERIALIZED (
    SELECT o.service, o.number AS partition, t.topic_id, t.name AS topic, s.emitter_id, e.name AS emitter,
        s.seq AS emitted, coalesce((p.value -> 1 ->> e.name)::bigint, 0) AS read,
        (p.value ->> 0)::bigint AS log_offset
    FROM stream.ownership o CROSS JOIN LATERAL jsonb_each(o.positions) AS p(topic, value)
    JOIN stream.topics t ON t.name = p.topic
    JOIN stream.sequences s ON s.topic_id = t.topic_id AND s.partition = o.number
    JOIN stream.emitters e USING (emitter_id) WHERE o.kind = 'partition')"""

# Shipped, trimmed here, and not read yet: events that lie on Kafka alone. Their numbers are all that is known here.
ON_KAFKA_ALONE: Final = f"""WITH {READS}
SELECT service, topic, sum(least(emitted, coalesce(first - 1, emitted)) - read)::bigint FROM reads LEFT JOIN (
    SELECT emitter_id, topic_id, partition, min(seq) AS first FROM stream.outbox GROUP BY 1, 2, 3) AS kept
    USING (emitter_id, topic_id, partition)
WHERE least(emitted, coalesce(first - 1, emitted)) > read GROUP BY service, topic"""

IN_FLIGHT: Final = f"""WITH {READS}
SELECT service, sum(emitted - read)::bigint FROM reads WHERE emitted > read GROUP BY service ORDER BY service"""

# What operators let readers go on without (`accord skip`), in numbers of events.
SKIPPED: Final = """SELECT service, sum(last_missing - first_missing + 1)::bigint
FROM stream.skips GROUP BY service ORDER BY service"""

# Events that a service could not apply; a replayed one is in its history.
BURIED: Final = """SELECT event_id FROM stream.dead_letters
WHERE service = $1 AND event_id = ANY($2::uuid[]) AND state <> 'replayed'"""

_EVENTS: Final = "topic_id, partition, emitter_id, seq, event_id, key, type"


# Every event that still lies in this database.
_EMITTED: Final = f"""SELECT {_EVENTS}, log_offset FROM stream.log
    UNION ALL SELECT {_EVENTS}, NULL FROM stream.outbox"""


def in_flight(line: Line) -> str:
    """A CTE after `reads`: what emitters have told and readers have not read."""
    # The key of the log finds what lies behind a position at once.
    behind = "" if line.is_on_kafka else "AND (l.log_offset >= r.log_offset)"
    return f"""in_flight AS MATERIALIZED (
    SELECT r.service, l.event_id FROM reads r JOIN ({_EMITTED}) AS l USING (topic_id, partition, emitter_id)
    WHERE r.emitted > r.read AND l.seq > r.read {behind})"""


def still_to_read(line: Line) -> str:
    """Which of the events $2 service $1 has not read yet."""
    return f"""WITH {READS}, {in_flight(line)}
SELECT event_id FROM in_flight WHERE service = $1 AND event_id = ANY($2::uuid[])"""


class Statement(NamedTuple):
    """One check in SQL, and the count of what it looks at."""

    check: Check
    differences: str
    of: str | None = None
    is_lack: bool = False  # what differs may lie on Kafka alone


def statements(line: Line) -> Iterator[Statement]:
    """The checks of log, counters and readers."""
    yield Statement(Check.NUMBERS, _gaps("log", "log_offset"), _LOG_EVENTS)
    yield Statement(Check.NUMBERS, _counters(line))
    yield Statement(Check.NUMBERS, _gaps("outbox", "row_number"), "SELECT count(*) FROM stream.outbox")
    yield Statement(Check.REPEATED, _REPEATED, _LOG_EVENTS)
    yield Statement(Check.OFFSETS, _OFFSETS, "SELECT count(*) FROM stream.offsets")
    yield Statement(Check.POSITIONS, _AHEAD, _POSITIONS)
    yield Statement(Check.POSITIONS, _UNKNOWN_EMITTERS)
    if line.is_on_kafka:
        yield Statement(Check.SHIPPED, _UNSHIPPED, "SELECT count(*) FROM stream.ownership WHERE next_row > 1")
        yield Statement(Check.SHIPPED, _OUTBOX_GAPS)
    else:
        yield Statement(Check.POSITIONS, _PAST_THE_END)
        yield Statement(Check.POSITIONS, _SKIPPED)
    yield Statement(Check.APPLIED, _APPLIED, _READ)


# What the offsets say: counting the rows is what their own check does.
_LOG_EVENTS: Final = "SELECT coalesce(sum(next_offset - first_offset), 0)::bigint FROM stream.offsets"
_NAMED: Final = "JOIN stream.topics t USING (topic_id) JOIN stream.emitters e USING (emitter_id)"


def _gaps(table: str, order: str) -> str:
    return f"""SELECT format('stream.{table}: %s on %s/%s: number %s follows %s, not %s', e.name, t.name, l.partition,
    seq, before, before + 1)
FROM (SELECT emitter_id, topic_id, partition, seq, lag(seq) OVER (
    PARTITION BY emitter_id, topic_id, partition ORDER BY {order}) AS before FROM stream.{table}) AS l
{_NAMED} WHERE seq <> before + 1"""


def _counters(line: Line) -> str:
    """Rows trimmed at the low end are fine; those are the ones before `first_offset`, or that were shipped."""
    is_trimmed = "true" if line.is_on_kafka else "coalesce(f.first_offset > 0, false)"
    return f"""SELECT format('stream.sequences: %s on %s/%s has counted to %s, the log has %s', e.name, t.name,
    partition, coalesce(s.seq::text, 'nothing'),
    CASE WHEN l.last IS NULL THEN 'nothing' ELSE l.first || ' to ' || l.last END)
FROM stream.sequences s FULL JOIN (
    SELECT topic_id, partition, emitter_id, min(seq) AS first, max(seq) AS last
    FROM ({_EMITTED}) AS events GROUP BY topic_id, partition, emitter_id) AS l
    USING (topic_id, partition, emitter_id)
LEFT JOIN stream.offsets f USING (topic_id, partition) {_NAMED}
WHERE s.seq IS DISTINCT FROM l.last AND NOT (l.last IS NULL AND (s.seq = 0 OR {is_trimmed}))
    OR l.first > 1 AND NOT {is_trimmed}"""


_REPEATED: Final = f"""SELECT format('stream.log: event %s lies %s times on %s', event_id, times, t.name)
FROM (SELECT topic_id, event_id, count(*) AS times FROM ({_EMITTED}) AS events
    GROUP BY topic_id, event_id HAVING count(*) > 1) AS repeated JOIN stream.topics t USING (topic_id)"""


_OFFSETS: Final = """SELECT format('stream.log: %s/%s has offsets %s to %s in %s rows, not %s to %s', t.name, partition,
    l.first, l.last, coalesce(l.rows, 0), f.first_offset, f.next_offset - 1)
FROM stream.offsets f LEFT JOIN (
    SELECT topic_id, partition, min(log_offset) AS first, max(log_offset) AS last, count(*) AS rows
    FROM stream.log GROUP BY topic_id, partition) AS l USING (topic_id, partition)
JOIN stream.topics t USING (topic_id)
WHERE coalesce(l.rows, 0) <> f.next_offset - f.first_offset
    OR l.first <> f.first_offset OR l.last <> f.next_offset - 1"""

_POSITIONS: Final = """SELECT count(*) FROM stream.ownership CROSS JOIN LATERAL jsonb_each(positions)
WHERE kind = 'partition'"""

_AHEAD: Final = f"""WITH {READS}
SELECT format('stream.ownership: %s/%s has read %s to number %s of %s, which has emitted %s', service, partition, topic,
    read, emitter, emitted)
FROM reads WHERE read > emitted"""

_UNKNOWN_EMITTERS: Final = """SELECT format('stream.ownership: %s/%s has read %s to number %s of %s, who never emitted',
    o.service, o.number, p.key, n.value, n.key)
FROM stream.ownership o CROSS JOIN LATERAL jsonb_each(o.positions) AS p
CROSS JOIN LATERAL jsonb_each_text(p.value -> 1) AS n
WHERE o.kind = 'partition' AND NOT EXISTS (SELECT FROM stream.sequences s JOIN stream.topics t USING (topic_id)
    JOIN stream.emitters e USING (emitter_id) WHERE t.name = p.key AND e.name = n.key AND s.partition = o.number)"""

_PAST_THE_END: Final = """SELECT format('stream.ownership: %s/%s stands at offset %s of %s, which ends at %s',
    o.service, o.number, p.value ->> 0, t.name, f.next_offset)
FROM stream.ownership o CROSS JOIN LATERAL jsonb_each(o.positions) AS p
JOIN stream.topics t ON t.name = p.key JOIN stream.offsets f ON f.topic_id = t.topic_id AND f.partition = o.number
WHERE o.kind = 'partition' AND (p.value ->> 0)::bigint > f.next_offset"""

# What lies below a reader's offset has numbers it has counted, and what lies above has others.
_SKIPPED: Final = f"""WITH {READS}
SELECT format('stream.ownership: %s/%s stands at offset %s of %s and number %s of %s, which does not match the log',
    service, partition, log_offset, topic, read, emitter)
FROM (SELECT r.service, r.partition, r.topic, r.emitter, r.log_offset, r.read,
        max(l.seq) FILTER (WHERE l.log_offset < r.log_offset) AS below,
        min(l.seq) FILTER (WHERE l.log_offset >= r.log_offset) AS above
    FROM reads r JOIN stream.log l USING (topic_id, partition, emitter_id)
    GROUP BY r.service, r.partition, r.topic, r.emitter, r.log_offset, r.read) AS around
WHERE below > read OR above <= read"""

_UNSHIPPED: Final = """SELECT format('stream.outbox: %s/%s has %s rows after number %s, not %s', o.service, o.number,
    count(b.row_number), o.shipped_through, o.next_row - 1 - o.shipped_through)
FROM stream.ownership o LEFT JOIN stream.emitters e
    ON e.name = o.service || '/' || o.number
LEFT JOIN stream.outbox b ON b.emitter_id = e.emitter_id AND b.row_number > o.shipped_through
WHERE o.next_row > 1 GROUP BY o.service, o.kind, o.number, o.next_row, o.shipped_through
HAVING count(b.row_number) <> o.next_row - 1 - o.shipped_through"""

_OUTBOX_GAPS: Final = """SELECT format('stream.outbox: %s has row %s after row %s', e.name, row_number, before)
FROM (SELECT emitter_id, row_number, lag(row_number) OVER (PARTITION BY emitter_id ORDER BY row_number) AS before
    FROM stream.outbox) AS b JOIN stream.emitters e USING (emitter_id) WHERE row_number <> before + 1"""

_TO_SCORING: Final = f"t.name = '{ACTIVITY}' AND l.type IN ('{Activity.TYPE}', '{ProfileUpdated.TYPE}')"
_TO_STAGES: Final = f"t.name = '{SALES}' AND l.type = '{SalesAction.TYPE}'"
_READ: Final = f"""{_LOG_EVENTS} JOIN stream.topics USING (topic_id) WHERE name IN ('{ACTIVITY}', '{SALES}')"""


# Scores, lifecycle and sla events are compared lead by lead, with the folds.
_APPLIED: Final = f"""WITH {READS}, read_events AS (
    SELECT l.event_id, l.key, r.service, l.type, r.topic FROM ({_EMITTED}) AS l
    JOIN reads r USING (topic_id, partition, emitter_id) JOIN stream.topics t USING (topic_id)
    WHERE l.seq <= r.read AND ({_TO_SCORING} OR {_TO_STAGES}))
SELECT format('stream.log: event %s on %s was read by %s, but is neither in its history nor a dead letter', event_id,
    topic, service)
FROM read_events l
WHERE NOT EXISTS (SELECT FROM scoring.history h WHERE h.lead_id = l.key AND h.event_id = l.event_id)
    AND NOT EXISTS (SELECT FROM scoring.erased e WHERE e.lead_id = l.key)
    AND NOT EXISTS (SELECT FROM stages.erased e WHERE e.lead_id = l.key)
    AND NOT EXISTS (SELECT FROM stages.history h WHERE h.lead_id = l.key AND h.event_id = l.event_id)
    AND NOT EXISTS (SELECT FROM stream.dead_letters d WHERE d.service = l.service AND d.event_id = l.event_id
        AND d.state <> 'replayed')"""
