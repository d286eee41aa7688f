"""What postmaster.pid says about a cluster, and the wait for a postmaster that a killed Accord left behind."""

import os
import time
from pathlib import Path
from typing import Final

import structlog

from shared.db.postgres_binaries import PostgresUnusable

POLL_SECONDS: Final = 0.005
_STATUS_LINE: Final = 7

logger = structlog.get_logger(component="embedded_postgres")


def is_ready(folder: Path, pid: int) -> bool:
    """Whether this postmaster accepts connections (it writes so into its pid file)."""
    lines = _lines(folder)
    return len(lines) > _STATUS_LINE and lines[0] == str(pid) and lines[_STATUS_LINE].strip() == "ready"


def wait_until_gone(folder: Path, timeout_seconds: float) -> None:
    """Waits for a former postmaster of this cluster to end: at the death of its parent it needs a moment to shut down.

    Raises PostgresUnusable if it stays: then a living Accord owns it, and the data folder is in use.
    """
    deadline = time.monotonic() + timeout_seconds
    waited = False
    while (pid := _former(folder)) is not None:
        if time.monotonic() > deadline:
            raise PostgresUnusable(
                f"a Postgres (process {pid}) still runs on {folder}: stop the Accord that it belongs to, or end it "
                f"with `kill -INT {pid}`"
            )
        if not waited:
            waited = True
            logger.info("former_postgres_awaited", pid=pid)
        time.sleep(POLL_SECONDS)


def _former(folder: Path) -> int | None:
    lines = _lines(folder)
    if not lines or not lines[0].lstrip("-").isdigit():
        return None
    pid = abs(int(lines[0]))
    if not _is_postgres(pid):
        # The number belongs to another program by now; Postgres itself would take that one for its predecessor.
        (folder / "postmaster.pid").unlink(missing_ok=True)
        return None
    return pid


def _lines(folder: Path) -> list[str]:
    try:
        return (folder / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _is_postgres(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        os.kill(pid, 0)
        name, _, rest = status.read_text().rpartition(")")
    except ProcessLookupError:
        return False
    except (PermissionError, FileNotFoundError):
        return not Path("/proc/self").exists()  # without /proc the number is all there is to go by
    return name.partition("(")[2].startswith(("postgres", "postmaster")) and not rest.strip().startswith("Z")
