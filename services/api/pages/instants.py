"""Times that people choose in a form, in their own zone."""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

_FORM: Final = "Choose a day and a time, such as 2026-12-01 08:00."


class InvalidInstant(ValueError):
    """The text is no time; the message says what is allowed."""


def instant_of_form(text: str, zone: ZoneInfo) -> str | None:
    """RFC 3339 of what a `datetime-local` field holds; None of an empty one. Raises InvalidInstant."""
    if not text.strip():
        return None
    try:
        chosen = datetime.fromisoformat(text.strip())
        return (chosen if chosen.tzinfo else chosen.replace(tzinfo=zone)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise InvalidInstant(_FORM) from None
