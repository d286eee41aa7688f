"""The signed versions, for reading leads by."""

import asyncio
from typing import Final

import asyncpg

from shared.agreement.versions import Accords
from shared.db.accord_book import AccordBook

# Far less than the ten seconds between a second signature and its effect (shared/agreement/life.py): whatever version a
# lead may bear by now has been read before.
BELIEVED_SECONDS: Final = 0.5


class SignedAccords:
    """Reads which versions are signed, and believes it for half a second."""

    def __init__(self, pool: asyncpg.Pool, book: AccordBook) -> None:
        self._pool = pool
        self._book = book
        self._read: tuple[Accords, float] | None = None

    async def __call__(self) -> Accords:
        """Raises Surroundings when there is none yet."""
        now = asyncio.get_running_loop().time()
        if self._read is None or now >= self._read[1]:
            async with self._pool.acquire() as connection:
                self._read = await self._book.refresh(connection), now + BELIEVED_SECONDS
        return self._read[0]
