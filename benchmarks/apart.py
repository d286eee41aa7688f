"""`accord run scoring`, alone or twice, on a database and a broker of its own that the benchmark fills."""

import subprocess
import sys
from pathlib import Path

from benchmarks.broken import Broken
from benchmarks.broker import Broker
from benchmarks.child import Child
from benchmarks.house import where

_MIGRATE_SECONDS = 60


class Apart:
    """An installation without HTTP: what `accord migrate` makes, and as many processes as asked for."""

    def __init__(self, database_url: str, broker: Broker, log: Path, session_timeout_seconds: int) -> None:
        self.database_url = database_url
        self.broker = broker
        self._log = log
        self.session_timeout_seconds = session_timeout_seconds
        self._environment = {
            **where(database_url, broker),
            "ACCORD_KAFKA_SESSION_TIMEOUT_SECONDS": str(session_timeout_seconds),
        }

    def migrate(self) -> None:
        """Tables and topics."""
        with Child(_command("migrate"), self._log, self._environment) as migrating:
            try:
                if migrating.wait(_MIGRATE_SECONDS) != 0:
                    raise Broken(f"accord migrate failed: {migrating.said()}")
            except subprocess.TimeoutExpired:
                raise Broken(f"accord migrate took longer than {_MIGRATE_SECONDS} s") from None

    def scoring(self) -> Child:
        """One more process; `with` or `start` starts it."""
        return Child(_command("run", "scoring", "--port", "0"), self._log, self._environment)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "services.cli", *arguments]
