"""The folder in which one `accord up` keeps everything that must last: who has it, and where its database is."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shared.errors import AccordError

# Written at every start, for operators and their commands. It holds a password.
ADDRESS_FILE: Final = "database-url"
_LOCK_FILE: Final = "accord.lock"


class FolderInUse(AccordError):
    """Another Accord is using this data folder."""


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Raises FolderInUse when another process has the folder."""
    with (data / _LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(f"another Accord is using {data}") from None
        yield


def is_in_use(data: Path) -> bool:
    """Whether an Accord runs on this data folder."""
    try:
        with locked(data):
            return False
    except FolderInUse:
        return True
