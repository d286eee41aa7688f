"""One request of a source, proven to be its: read, judged item by item, committed, answered. So are replays."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from services.ingest.handler.commits import Outcome, Submission
from services.ingest.metrics import Metrics
from services.ingest.model import ErasureAsked, Identifier, Posted, Receipt
from services.ingest.model.notes import ACCEPTED, DUPLICATE, REFUSED, REJECTED, Note, Notes
from services.ingest.vendors.judging import Fit, Judged, judge, whom
from services.ingest.vendors.registry import VENDORS
from services.ingest.vendors.source_settings import ErasingOptions
from services.ingest.vendors.vendor import (
    Bad,
    Item,
    Refusal,
    RefusalReason,
    Reply,
    Sent,
    SourceConfig,
    Standing,
    Tally,
)
from shared.errors import Unavailable
from shared.events.envelope import named_id

ITEMS_LISTED_MAX = 100
WORDS_MAX = 500
# What a replay must not need again, and nobody should find in a table, sealed or not.
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})
NO_PERSON = "needs somebody who is on file, and nobody it names is"
ERASED, NOBODY_TO_ERASE = "this lead is erased", "nobody on file is meant: nothing is held"


class Publisher(Protocol):
    """What makes a submission durable."""

    async def publish(self, item: Submission) -> Outcome: ...


@dataclass(frozen=True)
class Limits:
    """`event_bytes_max` of one event, `events_max` of one request, `kept_bytes_max` of a body that is kept."""

    event_bytes_max: int
    events_max: int
    kept_bytes_max: int


class Intake:
    """`seal` makes a kept request unreadable without the installation's key."""

    def __init__(self, publisher: Publisher, notes: Notes, metrics: Metrics, seal: Callable[[str], str]) -> None:
        self._publisher = publisher
        self._notes = notes
        self._metrics = metrics
        self._seal = seal

    async def take(self, sent: Sent, config: SourceConfig, limits: Limits, traceparent: str | None = None) -> Reply:
        """The answer, once everything that it says is durable. Raises Unavailable."""
        vendor = VENDORS[config.kind]
        found = await self._take(sent, config, limits, traceparent)
        return vendor.refuse(found, sent) if isinstance(found, Refusal) else vendor.answer(found.tally, sent)

    async def replay(self, sent: Sent, config: SourceConfig, limits: Limits) -> bool:
        """Takes a kept request once more. True if nothing of it is left to be kept."""
        found = await self._take(sent, config, limits, None)
        return not isinstance(found, Refusal) and not found.is_kept

    def refuse(self, config: SourceConfig, refusal: Refusal, received_at: datetime, *, is_listed: bool = True) -> None:
        """Notes a request that is refused as a whole."""
        self._metrics.refused.labels(config.kind, refusal.reason.value).inc()
        note = Note(received_at, REFUSED, refusal.reason.value, reason=refusal.message[:WORDS_MAX])
        self._notes.add(config.id, note, is_listed=is_listed)

    async def _take(
        self, sent: Sent, config: SourceConfig, limits: Limits, traceparent: str | None
    ) -> "_Taken | Refusal":
        read = VENDORS[config.kind].read(sent, config)
        if not isinstance(read, Refusal) and len(read.items) + len(read.bad) > limits.events_max:
            self._metrics.limit_reached.labels("batch_events").inc()
            read = Refusal(RefusalReason.UNREADABLE, f"More than {limits.events_max} events in one request.")
        if isinstance(read, Refusal):
            self.refuse(config, read, sent.received_at, is_listed=False)
            receipt = self._receipt(sent, config, limits, ("unreadable", None, read.message, ()))
            await self._publish(Submission((), traceparent, receipt=receipt))
            return read
        size = limits.event_bytes_max if len(sent.body) > limits.event_bytes_max else None
        judged = judge(
            read, config, received_at=sent.received_at, event_bytes_max=size, check_text=_may_hide_text(sent)
        )
        submission = self._submission(sent, config, judged, traceparent, limits)
        outcome = Outcome(0)
        if submission.events or submission.receipt or submission.erasures:
            outcome = await self._publish(submission)
        self._note(config, judged, outcome, sent.received_at)
        tally = Tally(outcome.accepted, outcome.duplicates, len(judged.kept) + len(outcome.left_out), judged.bad)
        return _Taken(tally, submission.receipt is not None or bool(outcome.left_out))

    async def _publish(self, submission: Submission) -> Outcome:
        try:
            return await self._publisher.publish(submission)
        except Unavailable:
            self._metrics.unavailable.inc()
            raise

    def _submission(
        self, sent: Sent, config: SourceConfig, judged: Judged, traceparent: str | None, limits: Limits
    ) -> Submission:
        events: list[Posted] = []
        wanting: list[Item] = []
        conditional: list[Fit] = []
        for fit in judged.fit:
            events.append(fit.posted)
            if fit.item.standing is Standing.INCOMPLETE:
                wanting.append(fit.item)
            if fit.item.needs_known_lead:
                conditional.append(fit)
        if config.settings.historical:
            events = [replace(event, historical=True) for event in events]
        submission = Submission(events, traceparent)
        if judged.kept:
            erased = [item for item in judged.kept if _is_erased(item, config)]
            asked = [ErasureAsked(whom(item), config.id, config.name, sent.received_at) for item in erased]
            submission = replace(submission, erasures=asked)
            wanting += [item for item in judged.kept if not _is_settled(item, config)]
        if wanting or judged.bad:
            receipt = self._receipt(sent, config, limits, _story(judged.bad, wanting))
            submission = replace(submission, receipt=receipt)
        if conditional:
            strangers = [replace(fit.item, standing=Standing.INCOMPLETE, why=NO_PERSON) for fit in conditional]
            receipt = self._receipt(sent, config, limits, _story(judged.bad, [*wanting, *strangers]))
            ids = frozenset(fit.posted.id for fit in conditional)
            submission = replace(submission, conditional=ids, receipt_without=receipt)
        return submission

    def _receipt(self, sent: Sent, config: SourceConfig, limits: Limits, story: "_Story") -> Receipt:
        """The same request sent again has the same receipt."""
        standing, kind, reason, items = story
        id = named_id(config.id, hashlib.sha256(sent.body).hexdigest())
        size = len(sent.body)
        request = None
        if size <= limits.kept_bytes_max:
            request = self._seal(write_request(sent))
        else:
            self._metrics.limit_reached.labels("kept_bytes").inc()
        return Receipt(id, config.id, sent.received_at, standing, kind, reason[:WORDS_MAX], items, request, size)

    def _note(self, config: SourceConfig, judged: Judged, outcome: Outcome, received_at: datetime) -> None:
        notes, source_id = self._notes, config.id
        repeated = frozenset(outcome.repeated)  # to look a thousand up in a list of a thousand takes its time
        for fit in judged.fit:
            note = _note_of(fit, repeated, outcome.left_out, received_at)
            notes.add(source_id, note, is_listed=note.standing != Standing.INCOMPLETE)
        for item in judged.kept:
            why = _why_erased(item, outcome.erased) if _is_erased(item, config) else item.why
            note = Note(received_at, _standing(item), item.kind, reason=why)
            notes.add(source_id, note, is_listed=_is_settled(item, config))
        for _ in judged.bad:
            notes.add(source_id, Note(received_at, REJECTED, REJECTED), is_listed=False)
        if judged.bad:
            self._metrics.rejected.inc(len(judged.bad))


def _is_erased(item: Item, config: SourceConfig) -> bool:
    """Whether whom this item asks to forget is erased, and not only listed."""
    may_erase = isinstance(config.settings, ErasingOptions) and config.settings.erases
    return may_erase and item.standing is Standing.ERASURE


def _is_settled(item: Item, config: SourceConfig) -> bool:
    """Whether nothing of an item without an event is left for somebody to see to."""
    return item.standing is Standing.IGNORED or _is_erased(item, config)


def _why_erased(item: Item, erased: frozenset[Identifier]) -> str:
    return ERASED if erased.intersection(whom(item)) else NOBODY_TO_ERASE


def _may_hide_text(sent: Sent) -> bool:
    """Whether a text of it could hold what the log can't: in JSON only as an escape, elsewhere in ways of its own."""
    body = sent.body
    is_json = body.startswith((b"{", b"[")) and b"\\u" not in body
    return not is_json or "ce-specversion" in sent.headers or b"_base64" in body


class _Taken(Struct, frozen=True):
    tally: Tally
    is_kept: bool


_Story = tuple[str, str | None, str, Sequence[Mapping[str, Any]]]  # standing, kind, reason, items


def _standing(item: Item) -> str:
    return ACCEPTED if item.standing is Standing.MAPPED else item.standing.value


def _note_of(fit: Fit, repeated: frozenset[UUID], left_out: frozenset[UUID], received_at: datetime) -> Note:
    item, posted = fit.item, fit.posted
    if left_out and posted.id in left_out:
        return Note(received_at, Standing.INCOMPLETE.value, item.kind, reason=NO_PERSON)
    standing = DUPLICATE if repeated and posted.id in repeated else _standing(item)
    return Note(received_at, standing, item.kind, posted.type, posted.id, item.why)


def _story(bad: Sequence[Bad], wanting: Sequence[Item]) -> _Story:
    """What is told of a whole request; its standing is the worst of its items'."""
    listed: list[dict[str, Any]] = [
        {"position": one.position, "standing": REJECTED, "errors": [fault._asdict() for fault in one.faults]}
        for one in bad
    ]
    listed += [
        {"position": item.position, "standing": item.standing.value, "kind": item.kind, "why": item.why}
        for item in wanting
    ]
    more = f" (and {len(listed) - 1} more)" if len(listed) > 1 else ""
    if bad:
        return REJECTED, None, _words(bad[0]) + more, listed[:ITEMS_LISTED_MAX]
    worst = next((item for item in wanting if item.standing is Standing.ERASURE), wanting[0])
    standing = worst.standing.value
    return standing, worst.kind[:WORDS_MAX], (worst.why or standing) + more, listed[:ITEMS_LISTED_MAX]


def _words(bad: Bad) -> str:
    return "; ".join(f"{path}: {message}".removeprefix(": ") for path, message in bad.faults) or "can't be used"


def write_request(sent: Sent) -> str:
    """A request as it is kept, without what proves its sender; `read_request` reads it."""
    headers = {name: value for name, value in sent.headers.items() if name not in SECRET_HEADERS}
    body = sent.body.decode("latin-1")
    return json.dumps([sent.method, sent.path, headers, body, sent.received_at.isoformat()])


def read_request(text: str, public_url: str) -> Sent:
    method, path, headers, body, received_at = json.loads(text)
    known: Mapping[str, str] = headers
    received = datetime.fromisoformat(received_at)
    return Sent(method, public_url + path, path, known, {}, body.encode("latin-1"), received)
