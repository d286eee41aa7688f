"""The signed accords as every step reads them: in the step's own transaction, compiled once per version.

One small statement per call; documents are fetched only when a version appears that wasn't seen before. A version's
document never changes, so what is compiled stays true; which versions are in effect, and from when, is read each time.
"""

from datetime import datetime
from typing import Any

from shared.agreement.compiled import CompiledAccord, compile_accord
from shared.agreement.loading import load_accord
from shared.agreement.versions import Accords
from shared.errors import InvalidDocument, Surroundings

_LIST = "SELECT version, effective_at FROM api.published_accords ORDER BY version"
_DOCUMENTS = "SELECT version, document::text AS document FROM api.published_accords WHERE version = ANY($1::integer[])"

_Signed = tuple[tuple[int, datetime], ...]


class NoAccord(Surroundings):
    """No accord is on file: `accord up` and `accord migrate` put the first one there."""


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

    async def _compile(self, connection: Any, missing: list[int]) -> None:
        for row in await connection.fetch(_DOCUMENTS, missing) if missing else ():
            version = row["version"]
            try:
                self._compiled[version] = compile_accord(load_accord(row["document"]), version)
            except InvalidDocument as error:
                raise Surroundings(f"accord version {version} can't be read by this release: {error}") from error
