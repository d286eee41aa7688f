"""One group commit of ingest: drop what was seen, find or make the leads, write the events (DESIGN.md idea 2)."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from services.ingest.metrics import Metrics
from services.ingest.model import ErasureAsked, Identifier, Known, Posted, Receipt, Resolution, resolve
from shared.db.statement import Write, write_all
from shared.events.activity import Activity, ProfileUpdated
from shared.events.codec import encode
from shared.events.envelope import Event, Outgoing, derived_id
from shared.events.sales import SalesAction
from shared.events.topics import ACTIVITY, SALES
from shared.stream.carrier import Transaction


class Identities(Protocol):
    """What this handler asks of its tables."""

    @property
    def cached(self) -> int: ...
    async def see(self, connection: Any, ids: Iterable[UUID], received_at: datetime) -> set[UUID]: ...
    async def find(self, connection: Any, identifiers: Iterable[Identifier]) -> dict[Identifier, Known]: ...
    def see_all(self, ids: Iterable[UUID], received_at: datetime) -> Write: ...
    def claim_emails(self, emails: Mapping[str, UUID]) -> Write: ...
    def remember(self, emails: Mapping[str, UUID]) -> None: ...
    def write(self, rows: Sequence[tuple[str, str, UUID, bool]]) -> Write: ...
    def keep(self, receipts: Sequence[Receipt]) -> Write: ...
    def wish(self, wishes: Mapping[UUID, ErasureAsked]) -> Write: ...
    async def tie(self, connection: Any, lead_ids: Iterable[UUID]) -> None: ...


class Submission(Struct, frozen=True):
    """What is to be committed of one request: its acceptable events, and what is kept of the rest.

    `conditional` are ids of events that count only if one of their identifiers is on file; `receipt` is written in any
    case, `receipt_without` if one of those doesn't count. `erasures` come after the events. `progress` is written with
    the events, once it is known what became of them."""

    events: Sequence[Posted]
    traceparent: str | None
    conditional: frozenset[UUID] = frozenset()
    receipt: Receipt | None = None
    receipt_without: Receipt | None = None
    erasures: Sequence[ErasureAsked] = ()
    progress: "Callable[[Outcome], Write] | None" = None


class Outcome(Struct, frozen=True):
    """What became of one submission: how many events are new, the ids of those seen before, and of those left out; and
    who of those to be erased is on file."""

    accepted: int
    repeated: Sequence[UUID] = ()
    left_out: frozenset[UUID] = frozenset()
    erased: frozenset[Identifier] = frozenset()

    @property
    def duplicates(self) -> int:
        return len(self.repeated)


class IngestHandler:
    """`prepare` for the lane publisher."""

    def __init__(self, store: Identities, metrics: Metrics, new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._metrics = metrics
        self._new_id = new_id

    async def prepare(
        self, transaction: Transaction, submissions: Sequence[Submission]
    ) -> tuple[Sequence[Outgoing], Sequence[Outcome]]:
        submissions, left_out = await self._without_strangers(transaction, submissions)
        writes: list[Write] = []
        unseen = await self._unseen(transaction, submissions, writes)
        fresh: list[tuple[Posted, str | None]] = []
        outcomes: list[Outcome] = []
        for submission, strangers in zip(submissions, left_out, strict=True):
            before = len(fresh)
            repeated: list[UUID] = []
            for event in submission.events:
                try:
                    unseen.remove(event.id.int)
                except KeyError:
                    repeated.append(event.id)
                else:
                    fresh.append((event, submission.traceparent))
            outcomes.append(Outcome(len(fresh) - before, repeated, strangers))
        if receipts := [one.receipt for one in submissions if one.receipt is not None]:
            writes.append(self._store.keep(receipts))
        pairs = zip(submissions, outcomes, strict=True)
        writes += [one.progress(outcome) for one, outcome in pairs if one.progress is not None]
        if not fresh:
            transaction.add(*writes)
            outcomes = await self._with_erasures(transaction, submissions, outcomes, {})
            transaction.on_commit(lambda: self._count(outcomes, 0))
            return (), outcomes
        resolution = await self._resolve(transaction, [event for event, _ in fresh], writes)
        outcomes = await self._with_erasures(transaction, submissions, outcomes, resolution.identities)
        transaction.on_commit(lambda: self._count(outcomes, len(resolution.fresh)))
        return _outgoing(fresh, resolution), outcomes

    async def _with_erasures(
        self,
        transaction: Transaction,
        submissions: Sequence[Submission],
        outcomes: list[Outcome],
        written: Mapping[Identifier, UUID],
    ) -> list[Outcome]:
        """Writes down whom to erase; the api carries it out. `written` are the identities that this commit writes."""
        asked = {identifier: one for each in submissions for one in each.erasures for identifier in one.identifiers}
        if not asked:
            return outcomes
        on_file = {key: known.lead_id for key, known in (await self._store.find(transaction.reader, asked)).items()}
        leads = {identifier: lead for identifier, lead in {**on_file, **written}.items() if identifier in asked}
        if leads:
            transaction.add(self._store.wish({lead: asked[identifier] for identifier, lead in leads.items()}))
        return [
            replace(outcome, erased=frozenset(key for one in each.erasures for key in one.identifiers if key in leads))
            for each, outcome in zip(submissions, outcomes, strict=True)
        ]

    def _count(self, outcomes: Sequence[Outcome], leads: int) -> None:
        """Once for all requests of a commit."""
        self._metrics.accepted.inc(sum(outcome.accepted for outcome in outcomes))
        self._metrics.duplicates.inc(sum(len(outcome.repeated) for outcome in outcomes))
        self._metrics.leads.inc(leads)
        self._metrics.identities_cached.set(self._store.cached)

    async def _without_strangers(
        self, transaction: Transaction, submissions: Sequence[Submission]
    ) -> tuple[Sequence[Submission], Sequence[frozenset[UUID]]]:
        """The submissions without their conditional events that nobody on file is meant by, and which those are."""
        if not any(submission.conditional for submission in submissions):
            return submissions, [frozenset()] * len(submissions)
        asked = {
            identifier
            for submission in submissions
            for event in submission.events
            if event.id in submission.conditional
            for identifier in event.identifiers
        }
        known = set(await self._store.find(transaction.reader, asked))
        known |= {
            identifier
            for submission in submissions
            for event in submission.events
            if event.id not in submission.conditional
            for identifier in event.identifiers
        }
        split = [_without(submission, known) for submission in submissions]
        return [submission for submission, _ in split], [strangers for _, strangers in split]

    async def _unseen(
        self, transaction: Transaction, submissions: Sequence[Submission], writes: list[Write]
    ) -> set[int]:
        """The numbers of the ids that count (to hash a UUID is Python, to hash its number isn't). Unless the step is
        open, all are taken for new, and one that isn't refuses the commit."""
        ids = {event.id.int: event.id for submission in submissions for event in submission.events}
        if not ids:
            return set()
        received_at = max(one.events[0].received_at for one in submissions if one.events)
        if transaction.is_open:
            return {id.int for id in await self._store.see(transaction.connection, ids.values(), received_at)}
        writes.append(self._store.see_all(ids.values(), received_at))
        return set(ids)

    async def _resolve(self, transaction: Transaction, posted: Sequence[Posted], writes: list[Write]) -> Resolution:
        """Finds or makes the leads. Who is first to write an identifier decides; who was slower runs the commit again.

        All publishers lock in one order, `writes` first: ids seen, emails, other identifiers, the log's counters."""
        identifiers = {identifier for event in posted for identifier in event.identifiers}
        known = await self._store.find(transaction.reader, identifiers)
        resolution = resolve(posted, known, iter(self._new_id, None))
        emails = {value: lead for (kind, value), lead in resolution.identities.items() if kind == "email"}
        if emails:
            writes.append(self._store.claim_emails(emails))
            transaction.on_commit(lambda: self._store.remember(emails))
        if others := self._others(posted, resolution):
            writes.append(self._store.write(others))
        if resolution.tied:
            # A statement of its own, since it must see what the others wrote.
            connection = await transaction.open()
            if writes:
                await write_all(connection, writes)
            await self._store.tie(connection, resolution.tied)
        else:
            transaction.add(*writes)
        return resolution

    def _others(self, posted: Sequence[Posted], resolution: Resolution) -> list[tuple[str, str, UUID, bool]]:
        """Identifiers other than emails, and whether they were posted with one."""
        if all(kind == "email" for kind, _ in resolution.identities):
            return []
        with_email = {identifier for event in posted if event.email for identifier in event.identifiers}
        return [
            (kind, value, lead, (kind, value) in with_email)
            for (kind, value), lead in resolution.identities.items()
            if kind != "email"
        ]


def _without(submission: Submission, known: Container[Identifier]) -> tuple[Submission, frozenset[UUID]]:
    strangers = frozenset(
        event.id
        for event in submission.events
        if event.id in submission.conditional and not any(one in known for one in event.identifiers)
    )
    if not strangers:
        return submission, strangers
    events = [event for event in submission.events if event.id not in strangers]
    return replace(submission, events=events, receipt=submission.receipt or submission.receipt_without), strangers


def _outgoing(fresh: Sequence[tuple[Posted, str | None]], resolution: Resolution) -> list[Outgoing]:
    """Each posted event as the events it becomes: its profile first, then what was done (EVENTS.md)."""
    outgoing: list[Outgoing] = []
    untold = set(resolution.fresh)  # leads that nothing was told of yet
    for (event, traceparent), lead_id in zip(fresh, resolution.leads, strict=True):
        is_new = bool(untold) and lead_id in untold
        if is_new:
            untold.discard(lead_id)
        data, kind = _common(event, lead_id), event.kind
        if kind == "profile":
            outgoing.append(_profile_updated(event, data, event.id, traceparent))
        elif event.profile or (kind == "sales" and is_new):
            id = derived_id(event.id, ProfileUpdated.TYPE)
            outgoing.append(_profile_updated(event, data, id, traceparent))
        if kind == "activity":
            data |= {"type": event.type, "campaign": event.campaign, "team": event.team, "data": event.data}
            outgoing.append(_event(event, data, traceparent, topic=ACTIVITY, type=Activity.TYPE))
        elif kind == "sales":
            data |= {"action": event.type.removeprefix("sales."), **event.data}
            outgoing.append(_event(event, data, traceparent, topic=SALES, type=SalesAction.TYPE))
    return outgoing


def _profile_updated(event: Posted, common: dict[str, Any], id: UUID, traceparent: str | None) -> Outgoing:
    data = {**common, "id": id, "campaign": event.campaign, "team": event.team, "fields": event.profile}
    return _event(event, data, traceparent, topic=ACTIVITY, type=ProfileUpdated.TYPE)


def _common(event: Posted, lead_id: UUID) -> dict[str, Any]:
    common = {
        "lead_id": lead_id,
        "id": event.id,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "source": event.source,
        "identifiers": dict(event.identifiers),
    }
    if event.historical:
        common["historical"] = True
    return common


def _event(event: Posted, data: dict[str, Any], traceparent: str | None, *, topic: str, type: str) -> Outgoing:
    """Encoded from a dict, not from the payload's model: the shape is held by a test, and this runs for every event."""
    times = (event.occurred_at, event.received_at)
    return Outgoing(topic, Event(data["id"], type, data["lead_id"], *times, encode(data), traceparent=traceparent))
