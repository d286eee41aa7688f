"""SQL of what became of each accepted id, of clocks and of turns. Like line_sql: a sentence per difference."""

from collections.abc import Iterator
from typing import Final

from services.audit.findings import Check
from services.audit.line_sql import READS, Line, Statement, in_flight
from shared.events.topics import ACTIVITY, SALES


def statements(line: Line) -> Iterator[Statement]:
    """The checks of ids, clocks and turns."""
    yield Statement(Check.ACCEPTED, _accepted(line), "SELECT count(*) FROM ingest.events_seen", is_lack=True)
    yield Statement(Check.ACCEPTED, _TWICE)
    yield Statement(Check.ACCEPTED, _BURIED_AND_APPLIED)
    if not line.is_on_kafka:
        yield Statement(Check.ORIGINS, _ORIGINS, _INPUTS)
    yield Statement(Check.ONE_CLOCK, _CLOCKS_TWICE, "SELECT count(*) FROM sla.clocks")
    yield Statement(Check.ONE_CLOCK, _ATTEMPTS_MISSING)
    yield Statement(Check.OUTCOMES, _ENDED_TWICE, "SELECT count(*) FROM sla.clock_events")
    yield Statement(Check.OUTCOMES, _TOLD_TWICE)
    yield Statement(Check.PROMISES, _COUNTS)
    yield Statement(Check.PROMISES, _SETTLED_UNTOLD)
    yield Statement(Check.TURNS, _TURNS, "SELECT count(*) FROM stages.history WHERE stamp::jsonb ? 'turn'")
    yield Statement(Check.TURNS, _TURN_TWICE)


def _accepted(line: Line) -> str:
    return f"""WITH {READS}, {in_flight(line)}
SELECT format('ingest.events_seen: %s was accepted, but is in no history, no dead letter and not in flight', s.event_id)
FROM ingest.events_seen s
WHERE NOT EXISTS (SELECT FROM scoring.history h WHERE h.event_id = s.event_id)
    AND NOT EXISTS (SELECT FROM stages.history h WHERE h.event_id = s.event_id AND h.body IS NOT NULL)
    AND NOT EXISTS (SELECT FROM stream.dead_letters d WHERE d.event_id = s.event_id
        AND d.service IN ('scoring', 'stages') AND d.state <> 'replayed')
    AND NOT EXISTS (SELECT FROM scoring.erased_events e WHERE e.event_id = s.event_id)
    AND NOT EXISTS (SELECT FROM stages.erased_events e WHERE e.event_id = s.event_id)
    AND NOT EXISTS (SELECT FROM in_flight f WHERE f.event_id = s.event_id)"""


_ADDED_UP: Final = """SELECT promise, since, count(*) AS entries, count(*) FILTER (WHERE is_counted) AS counted,
    coalesce(sum(amount::numeric), 0) AS amount,
    coalesce(sum(amount::numeric) FILTER (WHERE is_counted), 0) AS counted_amount,
    count(*) FILTER (WHERE is_other_currency) AS other_currencies
FROM sla.promise_entries WHERE is_chosen GROUP BY promise, since"""
_FIGURES: Final = ("entries", "counted", "amount", "counted_amount", "other_currencies")

# Amounts are added up in another order, and a step's in binary: that is no difference.
_ALIKE: Final = "0.999999999"
_LESS: Final = " OR ".join(f"coalesce(kept.{name}, 0) < coalesce(given.{name}, 0) * {_ALIKE}" for name in _FIGURES)
_MORE: Final = " OR ".join(f"coalesce(kept.{name}, 0) * {_ALIKE} > coalesce(given.{name}, 0)" for name in _FIGURES)
# More is no difference where somebody was erased: what was counted of them stays.
_COUNTS: Final = f"""
SELECT format('sla.promise_counts: of %s since %s is counted what its entries are not', promise, since)
FROM (SELECT promise, since, {", ".join(f"sum({name}) AS {name}" for name in _FIGURES)}
    FROM sla.promise_counts GROUP BY promise, since) AS kept FULL JOIN ({_ADDED_UP}) AS given USING (promise, since)
WHERE {_LESS} OR (NOT EXISTS (SELECT FROM sla.erased) AND ({_MORE}))"""

_SETTLED_UNTOLD: Final = """
SELECT format('sla.promise_periods: %s since %s is %s, told %s times', promise, since, state, told)
FROM sla.promise_periods AS p CROSS JOIN LATERAL (SELECT count(*) AS told FROM sla.promise_events AS e
    WHERE e.promise = p.promise AND e.since = p.since
        AND e.type IN ('accord.promise.kept', 'accord.promise.breached')) AS told
WHERE told <> (state IN ('kept', 'breached'))::integer"""


# A rescore comes from the accord, from nowhere else.
_INPUTS_OF_LEADS: Final = """SELECT lead_id, event_id, received_at, 'scoring' AS schema FROM scoring.history
        WHERE kind <> 'rescore'
    UNION ALL SELECT lead_id, event_id, received_at, 'stages' FROM stages.history WHERE body IS NOT NULL"""

_INPUTS: Final = f"SELECT count(*) FROM ({_INPUTS_OF_LEADS}) AS inputs"

_TWICE: Final = f"""SELECT format('%s.history: %s was applied %s times', min(schema), event_id, count(*))
FROM ({_INPUTS_OF_LEADS}) AS inputs GROUP BY event_id HAVING count(*) > 1"""

_BURIED_AND_APPLIED: Final = """SELECT format('stream.dead_letters: %s is a dead letter of %s, and in its history',
    event_id, service)
FROM stream.dead_letters d WHERE state <> 'replayed' AND CASE service
    WHEN 'scoring' THEN EXISTS (SELECT FROM scoring.history h WHERE h.lead_id = d.key AND h.event_id = d.event_id)
    WHEN 'stages' THEN EXISTS (SELECT FROM stages.history h WHERE h.lead_id = d.key AND h.event_id = d.event_id)
    WHEN 'sla-monitor' THEN EXISTS (SELECT FROM sla.history h WHERE h.lead_id = d.key AND h.event_id = d.event_id)
    WHEN 'delivery' THEN EXISTS (SELECT FROM delivery.events h WHERE h.lead_id = d.key AND h.event_id = d.event_id)
    END"""

# Looked at is what was received since the oldest event that lies on the log, and an hour for clocks that differ.
_ORIGINS: Final = f"""WITH topics AS (SELECT topic_id FROM stream.topics WHERE name IN ('{ACTIVITY}', '{SALES}')),
    since AS (SELECT max(CASE WHEN first_offset = 0 THEN '-infinity'::timestamptz
        ELSE coalesce((SELECT appended_at + interval '1 hour' FROM stream.log l
            WHERE l.topic_id = f.topic_id AND l.partition = f.partition AND l.log_offset = f.first_offset), now()) END)
        AS at FROM stream.offsets f JOIN topics USING (topic_id))
SELECT format('%s.history: lead %s has %s, which was neither accepted nor on the log', schema, lead_id, event_id)
FROM ({_INPUTS_OF_LEADS}) AS inputs
WHERE received_at >= (SELECT at FROM since)
    AND NOT EXISTS (SELECT FROM ingest.events_seen s WHERE s.event_id = inputs.event_id)
    AND NOT EXISTS (SELECT FROM stream.log l JOIN topics USING (topic_id) WHERE l.event_id = inputs.event_id)"""

_CLOCKS_TWICE: Final = """SELECT format('sla.clocks: lead %s has %s clocks of promise %s, entry %s, attempt %s',
    lead_id, count(*), rule, entry, attempt)
FROM sla.clocks GROUP BY lead_id, rule, entry, attempt HAVING count(*) > 1"""

_ATTEMPTS_MISSING: Final = """SELECT format('sla.clocks: lead %s has %s clocks of promise %s, entry %s, to attempt %s',
    lead_id, count(*), rule, entry, max(attempt))
FROM sla.clocks GROUP BY lead_id, rule, entry HAVING count(*) < max(attempt)"""

_ENDED_TWICE: Final = """SELECT format('sla.clock_events: clock %s of lead %s has %s outcomes: %s', clock_id, lead_id,
    count(*), string_agg(type, ', ' ORDER BY type))
FROM sla.clock_events WHERE type IN ('accord.clock.met', 'accord.clock.breached')
GROUP BY lead_id, clock_id HAVING count(*) > 1"""

_TOLD_TWICE: Final = """SELECT format('sla.clock_events: %s%s of clock %s, lead %s, was told %s times', type,
    ' at level ' || coalesce(level, pause), clock_id, lead_id, count(*))
FROM sla.clock_events GROUP BY lead_id, clock_id, type, level, pause HAVING count(*) > 1"""

_STAMPED: Final = """SELECT stamp::jsonb ->> 'team' AS team, (stamp::jsonb ->> 'turn')::bigint AS turn
    FROM stages.history WHERE stamp::jsonb ? 'turn'"""

_TURNS: Final = f"""SELECT format('stages.turns: team %s is at turn %s, its last decision took turn %s', team,
    t.turn, last)
FROM stages.turns t JOIN (SELECT team, max(turn) AS last FROM ({_STAMPED}) AS stamped GROUP BY team) AS s USING (team)
WHERE t.turn <> last + 1 AND (t.turn <= last OR NOT EXISTS (SELECT FROM stages.erased))"""

_TURN_TWICE: Final = f"""SELECT format('stages.history: turn %s of team %s was taken %s times', turn, team, count(*))
FROM ({_STAMPED}) AS stamped GROUP BY team, turn HAVING count(*) > 1"""
