"""What the columns of a file mean: by the mapping that came with it, by the source's settings, by names that everybody
uses. A column's place is where its cells go in the plain event (HTTP.md "Plain event")."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from services.ingest.model import Fault, Refused, read_json
from services.ingest.schemas import FIELD_NAME_CHARACTERS_MAX
from services.ingest.vendors.source_settings import RESERVED_IDENTIFIERS, SourceOptions

COLUMNS_MAX: Final = 500
SHOWN_MAX: Final = 20
HEADER_CHARACTERS_MAX: Final = 200
# What errors.csv puts in front: a mended one can be sent as it is.
LINE_COLUMN: Final = "accord_line"
REASON_COLUMN: Final = "accord_reason"

WHOLE: Final = ("id", "type", "occurred_at", "time_of_day", "campaign", "email", "anonymous_id")
WITHIN: Final = ("ids", "profile", "data")
PLACES: Final = f"{', '.join(WHOLE)}, ids.<vendor>, profile.<field>, data.<field>"
DATE_AND_TIME: Final = ("date", "scan date", "date scanned"), ("time", "scan time", "time scanned")

_NAMES: Final[dict[str, str]] = {
    "id": "id, scan id",
    "type": "type, activity, activity type",
    "occurred_at": "occurred at, scanned at, scanned, date time, datetime, timestamp, scan timestamp, scan date time",
    "campaign": "campaign, campaign name, event, event name, show, show name, trade show, tradeshow, exhibition, fair",
    "email": "email, e mail, mail, email address, e mail address, work email, business email, contact email",
    "anonymous_id": "anonymous id",
    "profile.first_name": "first name, firstname, given name, forename",
    "profile.last_name": "last name, lastname, surname, family name",
    "profile.name": "name, full name, attendee name, contact name",
    "profile.company": "company, company name, organisation, organization, employer",
    "profile.title": "title, job title, jobtitle, position",
    "profile.country": "country, country name, country region",
    "profile.employees": "employees, number of employees, company size",
    "profile.industry": "industry",
    "profile.phone": "phone, phone number, telephone, mobile, mobile phone",
    "profile.website": "website, web site",
    "profile.city": "city, town",
    "profile.region": "region, state, province, state province",
    "profile.postal_code": "postal code, postcode, zip, zip code",
    "data.note": "note, notes, comment, comments",
}
EVERYBODYS: Final[Mapping[str, str]] = MappingProxyType(
    {name: place for place, names in _NAMES.items() for name in names.split(", ")}
)
_NO_WORD: Final = re.compile(r"[\W_]+")


def words_of(header: str) -> str:
    """A column's name without its capitals, accents and signs: "E-Mail" and "e_mail" are one."""
    plain = unicodedata.normalize("NFKD", header).casefold()
    kept = "".join(character for character in plain if not unicodedata.combining(character))
    return _NO_WORD.sub(" ", kept).strip()


def read_mapping(text: str) -> dict[str, str | None]:
    """The `mapping` of a query: an object of columns and their places. Raises Refused."""
    try:
        value = read_json(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        rule = (
            'must be a JSON object of columns and their places, such as {"Contact": "email", "Rating": "data.rating"}'
        )
        raise Refused(Fault("mapping", rule))
    faults = [
        Fault(f"mapping.{column}"[:HEADER_CHARACTERS_MAX], f"must be null (left out) or one of {PLACES}")
        for column, place in value.items()
        if place is not None and not _is_place(place)
    ]
    if faults:
        raise Refused(*faults)
    return value


def _is_place(place: Any) -> bool:
    if not isinstance(place, str):
        return False
    part, dot, name = place.partition(".")
    if not dot:
        return place in WHOLE
    is_free = part != "ids" or name not in RESERVED_IDENTIFIERS
    return part in WITHIN and 0 < len(name) <= FIELD_NAME_CHARACTERS_MAX and is_free


def places_of(
    header: Sequence[str], mapping: Mapping[str, str | None], settings: SourceOptions, *, has_type: bool
) -> tuple[str | None, ...]:
    """The place of each column; None: left out. `has_type`: the query says the type of all rows. Raises Refused with
    everything that the header alone tells to be wrong."""
    names = [name.strip() for name in header]
    faults = list(_faults_of(names))
    if faults:
        raise Refused(*faults)
    given = _given(names, mapping)
    told = {name: given[name] if name in given else _own(name, settings, has_type=has_type) for name in names if name}
    _join_date_and_time(told, given)
    faults = list(_clashes(told))
    if not any(_identifies(place) for place in told.values()):
        shown = ", ".join(f'"{name[:HEADER_CHARACTERS_MAX]}"' for name in names[:SHOWN_MAX] if name)
        faults.append(
            Fault(
                "header",
                f"no column says who a row is about; this file has {shown}. Name one in mapping, such as "
                '{"Contact": "email"}',
            )
        )
    if faults:
        raise Refused(*faults)
    return tuple(told.get(name) for name in names)


def _faults_of(names: Sequence[str]) -> Iterator[Fault]:
    if len(names) > COLUMNS_MAX:
        yield Fault("header", f"has {len(names)} columns; allowed: {COLUMNS_MAX}")
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if "\0" in name:
            yield Fault("header", f"column {number} has a NUL character: is this UTF-16 without a byte order mark?")
        if len(name) > HEADER_CHARACTERS_MAX:
            yield Fault("header", f"the name of column {number} has more than {HEADER_CHARACTERS_MAX} characters")
        if name and name in first:
            yield Fault("header", f'columns {first[name]} and {number} are both named "{name}": rename one of them')
        first.setdefault(name, number)


def _given(names: Sequence[str], mapping: Mapping[str, str | None]) -> dict[str, str | None]:
    """What the mapping says, by the names as they stand in the file."""
    by_words: dict[str, str] = {words_of(name): name for name in reversed(names) if name}
    found: dict[str, str | None] = {}
    faults: list[Fault] = []
    for column, place in mapping.items():
        name = column.strip() if column.strip() in names else by_words.get(words_of(column))
        if name is None or not name:
            shown = ", ".join(f'"{one[:HEADER_CHARACTERS_MAX]}"' for one in names[:SHOWN_MAX] if one)
            path = f"mapping.{column}"[:HEADER_CHARACTERS_MAX]
            faults.append(Fault(path, f"is no column of this file; it has {shown}"))
        else:
            found[name] = place
    if faults:
        raise Refused(*faults)
    return found


def _own(name: str, settings: SourceOptions, *, has_type: bool) -> str | None:
    """The place of a column that the mapping doesn't name."""
    if name in settings.profile:
        field = settings.profile[name]
        return f"profile.{field}" if field else None
    if name in (LINE_COLUMN, REASON_COLUMN):
        return None
    if _is_place(name.removeprefix("lead.")):
        return name.removeprefix("lead.")
    words = words_of(name)
    place = EVERYBODYS.get(words)
    if place == "type" and has_type:
        place = None
    field = words.replace(" ", "_")[:FIELD_NAME_CHARACTERS_MAX] or name[:FIELD_NAME_CHARACTERS_MAX]
    return place or f"data.{field}"


def _join_date_and_time(told: dict[str, str | None], given: Mapping[str, str | None]) -> None:
    """A column for the day and one for the time of day are one time, if no column says all of it."""
    if "occurred_at" in told.values():
        return
    dates, times = ([name for name in told if words_of(name) in words and name not in given] for words in DATE_AND_TIME)
    told |= dict.fromkeys(dates, "occurred_at")
    # A lone "Scan Time" mostly holds the whole of it.
    told |= dict.fromkeys(times, "time_of_day" if dates else "occurred_at")


def _clashes(told: Mapping[str, str | None]) -> Iterator[Fault]:
    by_place: dict[str, list[str]] = {}
    for name, place in told.items():
        if place is not None:
            by_place.setdefault(place, []).append(name)
    for place, names in by_place.items():
        if len(names) > 1:
            shown = ", ".join(f'"{name}"' for name in names[:SHOWN_MAX])
            rule = f'say in mapping which one it is, and what the others are: {{"{names[1]}": null}} leaves one out'
            yield Fault("header", f"the columns {shown} all mean {place}: {rule}")


def _identifies(place: str | None) -> bool:
    return place is not None and (place in ("email", "anonymous_id") or place.startswith("ids."))
