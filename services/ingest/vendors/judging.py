"""From what a vendor read to what is committed: the same checks that a plain event passes, item by item."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import msgspec
from msgspec import Struct

from services.ingest.model import Identifier, Posted, Refused, check_value
from services.ingest.schemas import LeadShape
from services.ingest.vendors.plain import Reading, Sender, identifiers_of, read_event
from services.ingest.vendors.vendor import Bad, Item, Read, SourceConfig, Standing


class Fit(Struct, frozen=True):
    """An item whose event can be committed."""

    item: Item
    posted: Posted


class Judged(Struct, frozen=True):
    """`fit` to be committed; `kept`: items without an event (ignored, incomplete, erasures); `bad`: with faults."""

    fit: Sequence[Fit]
    kept: Sequence[Item]
    bad: Sequence[Bad]


def judge(
    read: Read, source: SourceConfig, *, received_at: datetime, event_bytes_max: int | None, check_text: bool = True
) -> Judged:
    """Judges each item on its own. `event_bytes_max`: None where none of the events can be too large; `check_text`:
    False where none can have a NUL character or a lone surrogate."""
    reading = Reading(_sender(source.name, source.team), received_at, check_text, event_bytes_max)
    fit: list[Fit] = []
    kept: list[Item] = []
    bad = list(read.bad)
    for item in read.items:
        try:
            if item.event is None or item.standing is Standing.IGNORED:
                check_value(item.erase or {}, "", check_text=True)
                kept.append(item)
                continue
            fit.append(Fit(item, read_event(item.event, reading)))
        except Refused as refused:
            bad.append(Bad(item.position, _shown((item.event or {}).get("id")), refused.faults))
    if len(bad) > 1:
        bad.sort(key=lambda fault: fault.position)
    return Judged(fit, kept, bad)


@lru_cache(maxsize=10_000)
def _sender(source: str, team: str) -> Sender:
    return Sender(source, source, team, {})


def whom(item: Item) -> tuple[Identifier, ...]:
    """Whom an item asks to forget."""
    return identifiers_of(msgspec.convert(item.erase, LeadShape))


def _shown(sender_id: object) -> str | None:
    return sender_id if isinstance(sender_id, str) and len(sender_id) <= 200 and sender_id.isprintable() else None
