"""The port to the log: who owns what, what was read, what was emitted. Three carriers implement it (memory, Postgres,
Kafka); services and the runner see only this. DESIGN.md "The step, exactly" is the protocol."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from shared.db.statement import Write
from shared.events.envelope import Outgoing, Record
from shared.stream.breaker import Breaker


class Slot(NamedTuple):
    """What can be owned: a partition of a service's input, or a lane of a publisher."""

    service: str
    kind: Literal["partition", "lane"]
    number: int

    @property
    def emitter(self) -> str:
        return f"{self.service}/{self.number}"


class Position(NamedTuple):
    """How far one topic of one partition was read: the next offset, and the last number seen of each emitter."""

    offset: int
    seqs: Mapping[str, int]


Positions = Mapping[str, Position]  # by topic
End = Mapping[str, int]  # the last number of each emitter on one partition of a topic


class Missing(NamedTuple):
    """What a partition waits for: the numbers of one emitter from `expected` up to, not including, `found`."""

    topic: str
    emitter: str
    expected: int
    found: int


class DeadLetter(NamedTuple):
    """An event that a service could not apply, and why."""

    id: UUID
    record: Record
    kind: str
    message: str
    at: datetime


class Transaction(Protocol):
    """One step's transaction: everything in it happens, or nothing does."""

    @property
    def connection(self) -> Any:
        """The asyncpg connection that stores write through; on the memory carrier a dict of tables. RuntimeError while
        the step isn't open."""

    @property
    def is_open(self) -> bool:
        """False for a step that will be one statement: what must be known must be read before, or be expected."""

    @property
    def reader(self) -> Any:
        """The same connection, for reading what only this owner writes: good before the step is open too, since the
        fence finds it unchanged later."""

    async def open(self) -> Any:
        """Begins a step that was to be one statement, for what must be locked or asked on the way."""

    def add(self, *writes: Write) -> None:
        """What is written at the end of the step, with its fence and its events in one statement."""

    @property
    def epoch(self) -> int:
        """The epoch of the claim that this transaction belongs to."""

    def on_commit(self, then: Callable[[], None]) -> None:
        """`then` is called after the commit, and never if there is none. It does no I/O and doesn't fail."""

    async def emit(self, outgoing: Sequence[Outgoing]) -> Sequence[tuple[int, int]]:
        """Puts events on their topics, numbered. Returns (partition, number) of each. At most once per transaction."""

    async def put(self, outgoing: Sequence[Outgoing]) -> None:
        """As `emit`, at the end of the step: where the events lie is known after the commit only."""

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keeps dead letters as rows; the caller also emits them on the dead-letter topic."""

    async def mark_replayed(self, letter_id: UUID) -> None:
        """Closes a dead letter whose event was applied by this transaction."""


class Claim(Protocol):
    """One slot owned under one epoch."""

    slot: Slot
    epoch: int
    positions: Positions
    breaker: Breaker

    async def fetch(self, topics: Sequence[str], limit: int) -> Sequence[Record]:
        """At most `limit` records per topic from the positions on, in the order of each topic."""

    def step(
        self, positions: Positions, breaker: Breaker, *, at_once: bool = False
    ) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that moves to these positions and this breaker, under the epoch.

        Raises OwnershipLost or PositionsMoved before anything else happens in it, or, with `at_once`, at its end: such
        a step isn't open, and all that it writes is one statement, fence included. An exception inside rolls
        everything back; on a clean exit the claim's positions and breaker have moved too.
        """

    async def reload(self) -> None:
        """Reads positions, numbers and breaker afresh. Raises OwnershipLost if the epoch is another's."""

    async def note_missing(self, missing: Missing | None) -> None:
        """Writes down what the partition waits for, for operators to see and to skip; None: for nothing any more."""

    async def replays(self) -> Sequence[DeadLetter]:
        """Dead letters of this slot whose replay was asked for."""

    async def release(self) -> None:
        """Gives the slot back and closes what the claim holds. Never raises for a lost connection."""


class Carrier(Protocol):
    """A log with its ownership."""

    partitions: int
    is_full: bool
    """True while what is still needed exceeds the log's bound: publishers refuse with Unavailable."""

    async def claim(self, slot: Slot, topics: Sequence[str] = ()) -> Claim:
        """Takes the slot whoever has it: a new epoch, after any commit in flight of the former owner."""

    async def claim_lane(self, service: str) -> Claim:
        """Takes the lowest lane of this service that no live publisher holds."""

    async def wait(self, slot: Slot, topics: Sequence[str], timeout_seconds: float) -> None:
        """Returns when something may have come for this partition of these topics, or at the time-out."""

    def wake(self, slot: Slot) -> None:
        """Ends the slot's wait now (an earlier deadline appeared, the process stops)."""

    async def end(self, topic: str, partition: int) -> End:
        """The last number of each emitter that was committed for this topic, shipped or not."""

    async def has_read(self, service: str, topic: str, partition: int, end: End) -> bool:
        """Whether this service has read all that `end` counts."""

    async def have_read_all(self, readers: Mapping[str, str], partition: int) -> bool:
        """Whether, as of one moment, each of these services has read its topic (`{service: topic}`) to the end."""

    async def position(self, service: str, topic: str, partition: int) -> int:
        """The next offset that this service will read."""
