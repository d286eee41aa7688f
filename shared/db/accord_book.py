"""The signed accords as every step reads them: in the step's own transaction, compiled once per version.

One small statement per call; documents are fetched only when a version appears that wasn't seen before. A version's
document never changes, so what is compiled stays true; which versions are in effect, and from when, is read each time.
"""

from datetime import datetime
from typing import Any, Protocol

from shared.agreement.compiled import CompiledAccord, compile_accord
from shared.agreement.loading import load_accord
from shared.agreement.versions import Accords
from shared.db.statement import Write
from shared.errors import InvalidDocument, PositionsMoved, Surroundings

_LIST = "SELECT version, effective_at FROM api.published_accords ORDER BY version"
_DOCUMENTS = "SELECT version, document::text AS document FROM api.published_accords WHERE version = ANY($1::integer[])"

# What a step decided by must be what is signed when it commits.
_UNCHANGED = """signed AS (
    SELECT array_agg(version ORDER BY version) = $1::integer[]
        AND array_agg(effective_at ORDER BY version) = $2::timestamptz[] AS are_known
    FROM api.published_accords)"""
_ARE_KNOWN = "SELECT count(*) FROM signed WHERE are_known"

_Signed = tuple[tuple[int, datetime], ...]


class NoAccord(Surroundings):
    """No accord is on file: `accord up` and `accord migrate` put the first one there."""


class Step(Protocol):
    """What the book asks of a step's transaction."""

    @property
    def reader(self) -> Any: ...
    def add(self, *writes: Write) -> None: ...


class AccordBook:
    """Keeps the compiled accords of one process."""

    def __init__(self) -> None:
        self._compiled: dict[int, CompiledAccord] = {}
        self._signed: _Signed = ()
        self._accords: Accords | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no accord was read yet: the process is not ready."""
        return self._accords is None

    async def refresh(self, connection: Any) -> Accords:
        """The versions signed as this transaction sees them. `connection` is asyncpg's.

        Raises Surroundings when there is none or this release can't read one: no event is to blame for that, so
        none may be dead-lettered.
        """
        signed: _Signed = tuple((row[0], row[1]) for row in await connection.fetch(_LIST))
        if self._accords is None or signed != self._signed:
            if not signed:
                raise NoAccord
            await self._compile(connection, [version for version, _ in signed if version not in self._compiled])
            accords = Accords([(effective_at, self._compiled[version]) for version, effective_at in signed])
            # No await between here and the return: two steps that refresh at once each keep a matching pair.
            self._signed, self._accords = signed, accords
            return accords
        return self._accords

    async def assume(self, transaction: Step) -> Accords:
        """What was read last, and the step is refused if that isn't what its own transaction sees: no round trip."""
        accords = self._accords or await self.refresh(transaction.reader)
        versions, starts = zip(*self._signed, strict=True)
        transaction.add(Write(_UNCHANGED, (versions, starts), _ARE_KNOWN, 1, self._explain))
        return accords

    async def _explain(self, connection: Any) -> Exception:
        await self.refresh(connection)
        return PositionsMoved("the accords have changed")

    async def _compile(self, connection: Any, missing: list[int]) -> None:
        for row in await connection.fetch(_DOCUMENTS, missing) if missing else ():
            version = row["version"]
            try:
                self._compiled[version] = compile_accord(load_accord(row["document"]), version)
            except InvalidDocument as error:
                raise Surroundings(f"accord version {version} can't be read by this release: {error}") from error
