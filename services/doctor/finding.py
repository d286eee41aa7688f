"""What one check of the doctor came to."""

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """How bad it is. Only what failed makes the exit code 1."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Finding(NamedTuple):
    """One check: what was found, and the command that repairs it."""

    check: str
    state: State
    found: str
    fix: str | None = None


def ok(check: str, found: str) -> Finding:
    return Finding(check, State.OK, found)


def warning(check: str, found: str, fix: str) -> Finding:
    return Finding(check, State.WARNING, found, fix)


def failed(check: str, found: str, fix: str) -> Finding:
    return Finding(check, State.FAILED, found, fix)
