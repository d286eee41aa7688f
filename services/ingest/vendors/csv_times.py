"""When a row of a file happened: ISO, or a form that whoever sends it names, in a time zone that they name."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from services.ingest.model import Fault, Refused
from services.ingest.vendors.shaping import moment

_TOKENS: Final = {
    **{"YYYY": "%Y", "YY": "%y", "MMM": "%b", "MM": "%m", "M": "%m", "DD": "%d", "D": "%d"},
    **{"HH": "%H", "H": "%H", "hh": "%I", "h": "%I", "mm": "%M", "ss": "%S", "A": "%p"},
}
_PART: Final = re.compile("|".join(sorted(_TOKENS, key=len, reverse=True)) + r"|[ T./:,-]")
_OFFSET: Final = re.compile(r"[Zz]|[+-]\d\d:?\d\d")
_SINCE_1970: Final = re.compile(r"\d{9,14}", re.ASCII)
_ZONE_CHARACTERS_MAX: Final = 100
FORMAT_RULE: Final = (
    "must be made of YYYY or YY, MM (or MMM, as in Nov), DD, HH (or hh with A for AM and PM), mm, ss and the signs "
    "- . / : , T or blank between, with a year, a month and a day; such as DD/MM/YYYY HH:mm"
)


def check_zone(name: str) -> str | None:
    """What is wrong with a time zone, if anything."""
    try:
        if len(name) <= _ZONE_CHARACTERS_MAX:
            ZoneInfo(name)
            return None
    except (ValueError, LookupError, OSError):
        pass
    return "must be an IANA time zone, such as Europe/Berlin"


@lru_cache(maxsize=1_000)
def directives(form: str) -> str | None:
    """The form as strptime reads it; None if it is none."""
    parts = _PART.findall(form)
    found = [_TOKENS[part] for part in parts if part in _TOKENS]
    has_date = bool({"%Y", "%y"} & {*found}) and bool({"%m", "%b"} & {*found}) and "%d" in found
    if "".join(parts) != form or not has_date or len({*found}) < len(found):
        return None
    return "".join(_TOKENS.get(part, part) for part in parts)


def read_time(text: str, form: str | None, zone: str) -> datetime:
    """As UTC. A text without an offset is a wall clock's reading in the zone. Raises Refused."""
    if form is not None:
        try:
            read = datetime.strptime(text.strip(), directives(form) or "").replace(tzinfo=ZoneInfo(zone))
            return read.astimezone(UTC)
        except (ValueError, OverflowError):
            raise Refused(Fault("occurred_at", f"must be a time written as {form}")) from None
    text = text.strip()
    found = moment(text)
    if found is None:
        raise Refused(Fault("occurred_at", _UNREAD))
    is_wall_clock = _SINCE_1970.fullmatch(text) is None and _OFFSET.search(text[10:]) is None
    try:
        return found.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) if is_wall_clock else found
    except OverflowError:
        raise Refused(Fault("occurred_at", _UNREAD)) from None


_UNREAD: Final = (
    "must be a time: RFC 3339, ISO as in 2026-11-20 09:30, or seconds or milliseconds since 1970; another form is "
    "named by time_format, such as DD/MM/YYYY HH:mm"
)
