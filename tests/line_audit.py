"""Checks a quiet line from its tables alone: nothing lost, nothing counted twice, every stored state the fold of its
history. Reads one snapshot of the database; says what differs in words, the first of each kind only."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from services.scoring import model as scoring
from services.scoring import store as scoring_store
from services.sla_monitor import store as sla_store
from services.sla_monitor.model import decisions as sla
from services.sla_monitor.model.states import Clock, ClockState
from services.stages import model as stages
from services.stages import store as stages_store
from shared.agreement.versions import Accords
from shared.db.accord_book import AccordBook
from shared.events.activity import Activity, ProfileUpdated
from shared.events.codec import encode
from shared.events.envelope import derived_id
from shared.events.lifecycle import LeadAssigned, SalesRecorded, StageChanged
from shared.events.sales import SalesAction
from shared.events.score import ScoreChanged
from shared.events.topics import LIFECYCLE, READERS, SLA

SHOWN_MAX = 3
_SCORE = msgspec.json.Decoder(stages.Score)
_KINDS: Mapping[str, msgspec.json.Decoder[Any]] = {
    "activity": msgspec.json.Decoder(Activity),
    "profile": msgspec.json.Decoder(ProfileUpdated),
}

# Where a reader stands short of the end of a topic, or has not counted the last number of an emitter.
UNREAD = """SELECT format('%s/%s has read %s to %s of %s', o.service, o.number, t.name, p.value ->> 0, f.next_offset)
FROM stream.ownership o CROSS JOIN LATERAL jsonb_each(o.positions) AS p
JOIN stream.topics t ON t.name = p.key JOIN stream.offsets f ON f.topic_id = t.topic_id AND f.partition = o.number
WHERE o.kind = 'partition' AND (p.value ->> 0)::bigint <> f.next_offset"""

HOLES = """SELECT format('%s/%s: offsets %s to %s should be %s to %s, in %s rows', t.name, f.partition, min(log_offset),
    max(log_offset), f.first_offset, f.next_offset - 1, count(log_offset))
FROM stream.offsets f JOIN stream.topics t USING (topic_id) LEFT JOIN stream.log l USING (topic_id, partition)
GROUP BY t.name, f.partition, f.first_offset, f.next_offset
HAVING count(log_offset) <> f.next_offset - f.first_offset OR (count(log_offset) > 0
    AND (min(log_offset) <> f.first_offset OR max(log_offset) <> f.next_offset - 1))"""

GAPS = """SELECT format('%s on %s/%s: number %s follows %s', e.name, t.name, partition, seq, before)
FROM (SELECT *, lag(seq, 1, 0::bigint) OVER (PARTITION BY emitter_id, topic_id, partition ORDER BY log_offset) AS before
    FROM stream.log) AS l
JOIN stream.topics t USING (topic_id) JOIN stream.emitters e USING (emitter_id) WHERE seq <> before + 1"""

COUNTED = """SELECT format('%s on %s/%s: counted to %s, the log goes to %s', e.name, t.name, s.partition, s.seq, l.last)
FROM stream.sequences s JOIN stream.topics t USING (topic_id) JOIN stream.emitters e USING (emitter_id)
FULL JOIN (SELECT emitter_id, topic_id, partition, max(seq) AS last FROM stream.log GROUP BY 1, 2, 3) AS l
    USING (emitter_id, topic_id, partition) WHERE s.seq IS DISTINCT FROM l.last"""

UNCOUNTED = """SELECT format('%s/%s on %s: read %s to number %s of %s', o.service, o.number, t.name, e.name,
    o.positions #>> ARRAY[t.name, '1', e.name], s.seq)
FROM stream.sequences s JOIN stream.topics t USING (topic_id) JOIN stream.emitters e USING (emitter_id)
JOIN stream.ownership o ON o.kind = 'partition' AND o.number = s.partition AND o.positions ? t.name
WHERE (o.positions #>> ARRAY[t.name, '1', e.name])::bigint IS DISTINCT FROM s.seq"""

REPEATED = """SELECT format('%s lies %s times on %s', event_id, count(*), t.name)
FROM stream.log JOIN stream.topics t USING (topic_id) GROUP BY event_id, t.name HAVING count(*) > 1"""

CLOCKS_TWICE = """SELECT format('%s clocks of %s, entry %s, attempt %s of lead %s', count(*), rule, entry, attempt,
    lead_id)
FROM sla.clocks GROUP BY lead_id, rule, entry, attempt HAVING count(*) > 1"""

ENDED_TWICE = """SELECT format('clock %s has %s', clock_id, string_agg(type, ', ' ORDER BY type))
FROM sla.clock_events WHERE type IN ('accord.clock.met', 'accord.clock.breached')
GROUP BY clock_id HAVING count(*) > 1"""

TOLD_TWICE = """SELECT format('clock %s has %s times %s %s', clock_id, count(*), type, level)
FROM sla.clock_events GROUP BY clock_id, type, level HAVING count(*) > 1"""

TURNS = """SELECT format('team %s is at turn %s, its last stamp took %s', team, turn, last) FROM stages.turns
JOIN (SELECT stamp::jsonb ->> 'team' AS team, max((stamp::jsonb ->> 'turn')::bigint) AS last FROM stages.history
    WHERE stamp::jsonb ? 'turn' GROUP BY 1) AS stamped USING (team) WHERE turn <> last + 1"""

TURN_TWICE = """SELECT format('turn %s of %s was taken %s times', stamp::jsonb ->> 'turn', stamp::jsonb ->> 'team',
    count(*))
FROM stages.history WHERE stamp::jsonb ? 'turn' GROUP BY stamp::jsonb ->> 'team', stamp::jsonb ->> 'turn'
HAVING count(*) > 1"""

STATEMENTS = (
    UNREAD,
    HOLES,
    GAPS,
    COUNTED,
    UNCOUNTED,
    REPEATED,
    CLOCKS_TWICE,
    ENDED_TWICE,
    TOLD_TWICE,
    TURNS,
    TURN_TWICE,
)

# Each reader's history, with the events that must be in it: those of its topic, of these types.
LIFECYCLE_TYPES = (StageChanged.TYPE, LeadAssigned.TYPE, SalesRecorded.TYPE)


@dataclass
class Audit:
    """What was found: nothing when the line is whole. The counts are there to be compared with."""

    found: dict[str, list[str]] = field(default_factory=dict)
    applied: int = 0
    leads: int = 0
    qualified: int = 0
    clocks: int = 0
    breached: int = 0
    dead_letters: int = 0

    def note(self, what: str, found: Iterable[object]) -> None:
        if listed := [str(one) for one in found]:
            self.found.setdefault(what, []).extend(listed)

    def differences(self) -> list[str]:
        """In words, the first of each kind."""
        return [
            f"{what}: {'; '.join(listed[:SHOWN_MAX])}"
            + f" (and {len(listed) - SHOWN_MAX} more)" * (len(listed) > SHOWN_MAX)
            for what, listed in self.found.items()
        ]

    def compare(self, what: str, wanted: Collection[UUID], found: Collection[UUID]) -> None:
        """Every event that must be there is, once, and no other is."""
        seen, repeated = set(), []
        for one in found:
            if one in seen:
                repeated.append(one)
            seen.add(one)
        self.note(f"missing in {what}", sorted(set(wanted) - seen))
        self.note(f"nobody sent, but in {what}", sorted(seen - set(wanted)))
        self.note(f"twice in {what}", repeated)


async def audit(database_url: str, accepted: Collection[UUID]) -> Audit:
    """Everything that must hold once the line is quiet. `accepted` are the ids of all events that were accepted."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            found = Audit()
            for statement in STATEMENTS:
                found.note("stream", [row[0] for row in await connection.fetch(statement)])
            await _events(connection, found, accepted)
            await _folds(connection, found, await AccordBook().refresh(connection))
            return found
    finally:
        await connection.close()


async def assert_line_is_whole(database_url: str, accepted: Collection[UUID]) -> Audit:
    found = await audit(database_url, accepted)
    assert not found.found, "\n".join(found.differences())
    return found


async def is_quiet(connection: Any) -> bool:
    """Whether every reader has read everything and no promise waits to be announced."""
    if await connection.fetchval(f"SELECT EXISTS ({UNREAD})"):
        return False
    return not await connection.fetchval("SELECT EXISTS (SELECT FROM sla.clocks WHERE next_due_at IS NOT NULL)")


async def _events(connection: Any, found: Audit, accepted: Collection[UUID]) -> None:
    """From one history to the next: what went in came out, or is a dead letter."""
    buried = {service: await _ids(connection, BURIED, service) for service in READERS}
    found.dead_letters = sum(map(len, buried.values()))
    scored = await _ids(connection, "SELECT event_id FROM scoring.history")
    actions = await _ids(connection, "SELECT event_id FROM stages.history WHERE body IS NOT NULL")
    scores = await _ids(connection, "SELECT event_id FROM stages.history WHERE body IS NULL")
    found.applied = len(scored) + len(actions)
    # A posted activity or action may bring a profile, which is an event of its own.
    profiles = {derived_id(id, ProfileUpdated.TYPE) for id in accepted}
    dead = [*buried["scoring"], *buried["stages"]]
    primary = [id for id in (*scored, *actions, *dead) if id not in profiles]
    made = {derived_id(id, ScoreChanged.TYPE) for id in scored}
    found.compare("the histories and dead letters", accepted, [id for id in primary if id not in made])
    found.compare("the scores that stages has applied", made, [*scores, *(id for id in dead if id in made)])
    told = await _ids(connection, ON_TOPIC, LIFECYCLE, LIFECYCLE_TYPES)
    recorded = await _ids(connection, "SELECT event_id FROM sla.history WHERE type <> 'tick'")
    found.compare("the history of sla_monitor", told, [*recorded, *buried["sla-monitor"]])
    announced = await _ids(connection, "SELECT event_id FROM sla.clock_events")
    found.compare("the log of clocks", announced, await _ids(connection, "SELECT event_id" + OF_TOPIC, SLA))
    delivered = await _ids(connection, "SELECT event_id FROM delivery.events")
    everything = await _ids(connection, "SELECT event_id" + OF_TOPICS, [LIFECYCLE, SLA])
    found.compare("the events of delivery", everything, [*delivered, *buried["delivery"]])


BURIED = "SELECT event_id FROM stream.dead_letters WHERE service = $1 AND state <> 'replayed'"
OF_TOPIC = " FROM stream.log JOIN stream.topics USING (topic_id) WHERE name = $1"
OF_TOPICS = " FROM stream.log JOIN stream.topics USING (topic_id) WHERE name = ANY($1::text[])"
ON_TOPIC = f"SELECT event_id{OF_TOPIC} AND type = ANY($2::text[])"


async def _ids(connection: Any, statement: str, *arguments: Any) -> list[UUID]:
    return [row[0] for row in await connection.fetch(statement, *arguments)]


async def _folds(connection: Any, found: Audit, accords: Accords) -> None:
    """Every lead of every service, from its history on."""
    leads = await _ids(connection, "SELECT lead_id FROM scoring.leads UNION SELECT lead_id FROM stages.leads")
    found.leads = len(leads)
    for lead_id in sorted(leads):
        scores = await _scoring(connection, found, lead_id, accords)
        await _stages(connection, found, lead_id, accords, scores)
        await _clocks(connection, found, lead_id, accords)


async def _scoring(connection: Any, found: Audit, lead_id: UUID, accords: Accords) -> dict[UUID, stages.Score]:
    """Compares a lead's score and grants with its fold; returns the scores that it told, by their event."""
    history = await scoring_store.history_of(connection, lead_id)
    decisions = scoring.fold([(_KINDS[line.kind].decode(line.body), line.received_at) for line in history], accords)
    row = await connection.fetchrow(
        "SELECT state, engagement, fit, grade FROM scoring.leads WHERE lead_id = $1", lead_id
    )
    state = decisions[-1].state if decisions else None
    wanted = state and (scoring_store.encode_state(state), state.engagement, state.fit, state.grade)
    if (row and tuple(row)) != wanted:
        found.note("scoring differs from its fold", [f"lead {lead_id}: {row and tuple(row)} instead of {wanted}"])
    granted = [(grant["rule"], grant["points"], grant["withheld"]) for d in decisions for grant in d.grants]
    ledger = await connection.fetch("SELECT rule, points, withheld FROM scoring.grants WHERE lead_id = $1", lead_id)
    if sorted(granted) != sorted(map(tuple, ledger)):
        found.note("the ledger differs from the fold", [f"lead {lead_id}: {len(ledger)} lines, not {len(granted)}"])
    told = zip(history, decisions, strict=True)
    return {derived_id(line.event_id, ScoreChanged.TYPE): _SCORE.decode(encode(d.score)) for line, d in told}


async def _stages(
    connection: Any, found: Audit, lead_id: UUID, accords: Accords, scores: Mapping[UUID, stages.Score]
) -> None:
    history = await stages_store.history_of(connection, lead_id)
    if unknown := [line.event_id for line in history if line.body is None and line.event_id not in scores]:
        found.note("stages applied scores that scoring's history doesn't give", unknown)
        return
    rows = [
        stages.HistoryRow(
            msgspec.json.decode(line.body, type=SalesAction) if line.body is not None else scores[line.event_id],
            line.received_at,
            line.stamp,
        )
        for line in history
    ]
    decisions = stages.fold(lead_id, rows, accords)
    stored = (await stages_store.PostgresStore().states(connection, [lead_id])).get(lead_id)
    state = decisions[-1].state if decisions else None
    if stored != state:
        found.note("stages differs from its fold", [f"lead {lead_id}: {stored} instead of {state}"])
    moves = [p for d in decisions for p in d.payloads if isinstance(p, StageChanged)]
    wanted = [(move.version, str(move.to_stage), move.owner) for move in moves]
    lines = await connection.fetch(
        "SELECT version, to_stage, owner FROM stages.transitions WHERE lead_id = $1 ORDER BY version", lead_id
    )
    if list(map(tuple, lines)) != wanted:
        found.note("the transitions differ from the fold", [f"lead {lead_id}: {len(lines)} lines, not {len(wanted)}"])
    found.qualified += any(move.to_stage == "mql" for move in moves)


async def _clocks(connection: Any, found: Audit, lead_id: UUID, accords: Accords) -> None:
    folded = sla.fold(await sla_store.history(connection, lead_id), accords)
    stored = (await sla_store.load(connection, [lead_id])).get(lead_id)
    if (stored and stored._replace(clocks=())) != (folded and folded._replace(clocks=())):
        found.note("sla_monitor differs from its fold", [f"lead {lead_id}: {stored} instead of {folded}"])
    columns = ", ".join(Clock._fields)
    rows = await connection.fetch(f"SELECT {columns} FROM sla.clocks WHERE lead_id = $1 ORDER BY clock_id", lead_id)
    clocks = [Clock(*row) for row in rows]
    clocks = [clock._replace(state=ClockState(clock.state)) for clock in clocks]
    wanted = sorted(folded.clocks if folded else (), key=lambda clock: clock.clock_id)
    for clock, other in zip(clocks, wanted, strict=False):
        if clock != other:
            found.note("a clock differs from the fold", [f"{clock} instead of {other}"])
    if len(clocks) != len(wanted):
        found.note("clocks differ from the fold", [f"lead {lead_id}: {len(clocks)}, not {len(wanted)}"])
    found.clocks += len(clocks)
    found.breached += sum(clock.breached_at is not None for clock in clocks)
