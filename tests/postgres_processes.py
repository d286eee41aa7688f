"""What tests of the embedded Postgres look at: processes, their users, and another Accord that can be killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from patience import PATIENCE

# Another Accord, as far as Postgres can tell: starts it, says where, and stays.
_PARENT = """
import json, sys, structlog
from pathlib import Path
from shared.db.embedded import EmbeddedPostgres
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
postgres = EmbeddedPostgres(Path(sys.argv[1]), places=Path(sys.argv[1]) / "places")
print(json.dumps({"dsn": postgres.start(), "pid": postgres.pid}), flush=True)
sys.stdin.read()
postgres.stop()
"""


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds * PATIENCE
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.01)
    return True


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].strip().startswith("Z")


@contextmanager
def frozen(postmaster: int) -> Iterator[None]:
    """This Postgres stands still with all its processes; connections to it open, and stay silent."""
    processes = [postmaster]
    os.kill(postmaster, signal.SIGSTOP)
    try:
        for stat in Path("/proc").glob("[0-9]*/stat"):
            if _parent_of(stat) == postmaster:
                processes.append(int(stat.parent.name))
                os.kill(processes[-1], signal.SIGSTOP)
        yield
    finally:
        for process in reversed(processes):
            os.kill(process, signal.SIGCONT)


def _parent_of(stat: Path) -> int | None:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:  # it has ended meanwhile
        return None


def user_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def first_line(parent: subprocess.Popen[str]) -> tuple[str, int]:
    assert parent.stdout is not None
    said = json.loads(parent.stdout.readline())
    return said["dsn"], said["pid"]


def start_parent(data: Path) -> subprocess.Popen[str]:
    """Another Accord on this folder; kill it and communicate when done."""
    command = [sys.executable, "-c", _PARENT, str(data)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
