"""Times as they are written on the outside: RFC 3339, with an offset."""

import re
from datetime import UTC, datetime

FORM = "must be an RFC 3339 time with an offset, like 2026-11-22T09:30:00Z"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_instant(text: str) -> datetime:
    """The time as UTC. Raises ValueError with what is allowed."""
    try:
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(FORM)
