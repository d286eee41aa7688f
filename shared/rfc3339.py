"""Times as they are written on the outside: RFC 3339, with an offset."""

import re
from datetime import UTC, datetime, timedelta

FORM = "must be an RFC 3339 time with an offset, like 2026-11-22T09:30:00Z"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_instant(text: str) -> datetime:
    """The time as UTC; a leap second as the second after it. Raises ValueError with what is allowed."""
    try:
        if _INSTANT.fullmatch(text):
            if text[17:19] == "60":
                return _after_leap_second(text)
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(FORM)


def _after_leap_second(text: str) -> datetime:
    """Only the last minute of a UTC day can have one (RFC 3339 5.7)."""
    before = datetime.fromisoformat(f"{text[:17]}59{text[19:]}".upper()).astimezone(UTC)
    if (before.hour, before.minute) != (23, 59):
        raise ValueError
    return before + timedelta(seconds=1)
