"""What each source sends, counted by kind, and its latest events: gathered in memory, to be written down now and then.

A crash loses the counts of the last second; events and what is kept of requests are committed before the answer.
"""

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

RECENT_MAX = 20
KINDS_MAX = 500
SOURCES_MAX = 10_000
KIND_CHARACTERS_MAX = 200
OTHER_KINDS = "(others)"
ACCEPTED, DUPLICATE, REJECTED, REFUSED = "accepted", "duplicate", "rejected", "refused"


class Note(Struct, frozen=True):
    """One event of a source, as people see it: never who it was about."""

    received_at: datetime
    standing: str
    kind: str
    type: str | None = None
    event_id: UUID | None = None
    reason: str | None = None


class Counted(NamedTuple):
    events: int
    first_at: datetime
    last_at: datetime

    def then(self, later: "Counted") -> "Counted":
        """With what came after."""
        return Counted(self.events + later.events, self.first_at, later.last_at)


class Gathered(NamedTuple):
    """Of one source since it was last taken. `kinds` by (kind, standing)."""

    recent: tuple[Note, ...]
    kinds: Mapping[tuple[str, str], Counted]


class _Source:
    def __init__(self) -> None:
        self.recent: deque[Note] = deque(maxlen=RECENT_MAX)
        self.kinds: dict[tuple[str, str], Counted] = {}


class Notes:
    """Bounded whatever is sent: so many sources, so many kinds of each."""

    def __init__(self) -> None:
        self._sources: dict[UUID, _Source] = {}

    def add(self, source_id: UUID, note: Note, *, is_listed: bool = True) -> None:
        """Counts it, and lists it unless a receipt does."""
        source = self._sources.get(source_id)
        if source is None:
            if len(self._sources) >= SOURCES_MAX:
                return
            source = self._sources[source_id] = _Source()
        if is_listed:
            source.recent.append(note)
        key = (note.kind[:KIND_CHARACTERS_MAX], note.standing)
        before = source.kinds.get(key)
        if before is None and len(source.kinds) >= KINDS_MAX:
            key = (OTHER_KINDS, note.standing)
            before = source.kinds.get(key)
        at = note.received_at
        source.kinds[key] = Counted(1, at, at) if before is None else Counted(before.events + 1, before.first_at, at)

    def take(self) -> Mapping[UUID, Gathered]:
        """Everything since the last time."""
        sources, self._sources = self._sources, {}
        return {id: Gathered(tuple(one.recent), one.kinds) for id, one in sources.items()}

    def put_back(self, gathered: Mapping[UUID, Gathered]) -> None:
        """What could not be written down counts with what came since."""
        since, self._sources = self._sources, {}
        for source_id, earlier in gathered.items():
            source = self._sources[source_id] = _Source()
            source.recent.extend(earlier.recent)
            source.kinds.update(earlier.kinds)
        for source_id, later in since.items():
            source = self._sources.setdefault(source_id, _Source())
            source.recent.extend(later.recent)
            for key, counted in later.kinds.items():
                before = source.kinds.get(key)
                source.kinds[key] = before.then(counted) if before else counted
