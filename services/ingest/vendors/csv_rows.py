"""A block of a file as events that are fit to be committed, in the order of their times, and rows that are refused."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from services.ingest.model import Fault, Identifier, Posted, Refused
from services.ingest.vendors.csv_columns import LINE_COLUMN
from services.ingest.vendors.csv_text import QUOTING, Block, Record, read_records
from services.ingest.vendors.csv_times import read_time
from services.ingest.vendors.generic import NO_TYPE
from services.ingest.vendors.names import activity_type
from services.ingest.vendors.plain import Reading, Sender, read_event
from services.ingest.vendors.shaping import Draft, item_of
from services.ingest.vendors.source_settings import SourceOptions
from services.ingest.vendors.vendor import SourceConfig, Standing
from shared.email_address import normalise_email

SCANNED: Final = "tradeshow.scanned"
KEPT_CHARACTERS_MAX: Final = 4_000
CELL_CHARACTERS_KEPT: Final = 200
FIRST: Final = datetime.min.replace(tzinfo=UTC)
LAST: Final = datetime.max.replace(tzinfo=UTC)
# As people write a count or a grade; a telephone number or a postal code with a zero in front stays text.
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,9})?", re.ASCII)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Plan(Struct, frozen=True):
    """How the rows of one file are read. Stored with it, so that a change of the source's settings changes no file that
    is under way. `places` has one for each column of `header`."""

    source_id: UUID
    source: str
    kind: str
    team: str
    settings: Mapping[str, Any]
    separator: str
    header: Sequence[str]
    places: Sequence[str | None]
    type: str
    time_zone: str
    time_format: str | None


class Key(NamedTuple):
    """Where a row stands among those of its block: rows without a time last, those of one time as in the file."""

    at: datetime
    line: int


class Row(NamedTuple):
    """A row whose event can be committed."""

    key: Key
    posted: Posted


class RefusedRow(NamedTuple):
    """A row that can't, and why; with its cells, cut if they are long."""

    line: int
    faults: Sequence[Fault]
    cells: Sequence[str]


class BlockRead(NamedTuple):
    """What a block holds. `ignored`: rows whose type the source ignores."""

    rows: Sequence[Row]
    refused: Sequence[RefusedRow]
    ignored: int


class RowReader:
    """Reads the rows of one file; `digest` is its SHA-256, in hexadecimal."""

    def __init__(self, plan: Plan, digest: str, *, event_bytes_max: int) -> None:
        self.plan = plan
        self._digest = digest
        self._event_bytes_max = event_bytes_max
        settings = SourceOptions.model_validate(plan.settings)
        # Columns were given their places by `profile` already.
        frozen = settings.model_copy(update={"profile": {}})
        self._source = SourceConfig(plan.source_id, plan.source, plan.kind, plan.team, (), frozen)
        self._sender = Sender(plan.source, plan.source, plan.team, {})
        self._names = [name.strip() for name in plan.header]
        # More than a row can grow by when its cells are written as JSON under their names.
        self._names_bytes = 1_000 + 6 * sum(len(place) for place in plan.places if place)
        self._is_mended = LINE_COLUMN in self._names
        self._columns = {place: name for name, place in zip(self._names, plan.places, strict=True) if place}

    def read(self, block: Block, received_at: datetime) -> BlockRead:
        """Judges each row on its own."""
        rows: list[Row] = []
        refused: list[RefusedRow] = []
        ignored = 0
        # What was decoded has no lone surrogates.
        large = Reading(self._sender, received_at, "\0" in block.text, self._event_bytes_max)
        small = replace(large, event_bytes_max=None)
        small_characters = (self._event_bytes_max - self._names_bytes) // 6
        for record in read_records(block.text, self.plan.separator, block.line):
            if record.is_blank:
                continue
            try:
                draft = self._draft(record)
                item = item_of(draft, self._source)
                if item.standing is Standing.IGNORED or item.event is None:
                    ignored += 1
                    continue
                is_small = record.end - record.start < small_characters
                posted = read_event(item.event, small if is_small else large)
            except Refused as found:
                refused.append(RefusedRow(record.line, self._named(found.faults), _kept(record, block.text)))
                continue
            if self._source.settings.historical:
                posted = replace(posted, historical=True)
            rows.append(Row(Key(draft.occurred_at or LAST, record.line), posted))
        rows.sort(key=_key)
        return BlockRead(rows, refused, ignored)

    def identifiers(self, record: Record) -> Iterator[Identifier]:
        """Whom a row names, as they are kept."""
        for place, cell in zip(self.plan.places, record.cells or (), strict=False):
            if place == "email":
                yield place, normalise_email(cell) or ""
            elif place == "anonymous_id":
                yield place, cell.strip()
            elif place is not None and place.startswith("ids."):
                name = place.removeprefix("ids.")
                yield self._source.settings.ids.get(name, name), cell.strip()

    def _draft(self, record: Record) -> Draft:
        """The row in the words of the file. Raises Refused."""
        found = self._by_place(record)
        lead: dict[str, Any] = {name: found[name] for name in ("email", "anonymous_id") if name in found}
        if ids := _within("ids", found):
            lead["ids"] = ids
        name = found.get("type", self.plan.type)
        type_ = activity_type(self.plan.kind, name)
        if type_ is None:
            raise Refused(Fault("type", NO_TYPE))
        at = None
        if when := " ".join(found[place] for place in ("occurred_at", "time_of_day") if place in found):
            at = read_time(when, self.plan.time_format, self.plan.time_zone)
        return Draft(
            kind=name,
            type=type_,
            lead=lead,
            id=found.get("id") or (None if at is not None else self._own_id(found)),
            occurred_at=at,
            profile=_within("profile", found),
            data={field: cell if field == "note" else _value(cell) for field, cell in _within("data", found).items()},
            campaign=found.get("campaign"),
        )

    def _by_place(self, record: Record) -> dict[str, str]:
        """The cells that have something in them. Missing ones at the end are empty: Excel leaves them out."""
        if record.cells is None:
            raise Refused(Fault("", f"its quotes can't be read: {QUOTING}"))
        found: dict[str, str] = {}
        for number, cell in enumerate(record.cells):
            text = cell.strip()
            if not text:
                continue
            if number >= len(self._names) or not self._names[number]:
                where = f"column {number + 1} has something in it, and the header has no name there"
                raise Refused(Fault("", f"{where}: is a cell with the separator in it not quoted?"))
            place = self.plan.places[number]
            if place is not None:
                found[place] = (
                    text[1:] if self._is_mended and text[1:].startswith(_FORMULA) and text[0] == "'" else text
                )
        return found

    def _own_id(self, found: Mapping[str, str]) -> str:
        """Of a row without id and time: the same row of the same file is the same event, whenever it is sent again."""
        text = json.dumps(found, sort_keys=True)
        return f"csv:{self._digest[:32]}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"

    def _named(self, faults: Sequence[Fault]) -> list[Fault]:
        """With the column's name for the path where a column is meant."""
        paths = [(path.lstrip("."), message) for path, message in faults]
        return [Fault(self._columns.get(path.removeprefix("lead."), path), message) for path, message in paths]


def sample_of(block: Block, separator: str, rows: int) -> Block:
    """The block's first rows."""
    end, count = 0, 0
    for record in read_records(block.text, separator, block.line):
        end = record.end
        count += not record.is_blank
        if count == rows:
            break
    return Block(block.text[:end], block.line, count)


def defused(cell: str) -> str:
    """A cell that a spreadsheet would take for a formula, as text (OWASP "CSV Injection")."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _key(row: Row) -> Key:
    return row.key


def _within(part: str, found: Mapping[str, str]) -> dict[str, str]:
    return {place[len(part) + 1 :]: text for place, text in found.items() if place.startswith(f"{part}.")}


def _value(cell: str) -> str | int | float:
    """A plain number is one, so that the accord's conditions can compare it."""
    if _NUMBER.fullmatch(cell) is None:
        return cell
    return float(cell) if "." in cell else int(cell)


def _kept(record: Record, text: str) -> Sequence[str]:
    cells = [text[record.start : record.end].rstrip("\r\n")] if record.cells is None else list(record.cells)
    if sum(map(len, cells)) <= KEPT_CHARACTERS_MAX:
        return cells
    room = max(1, min(CELL_CHARACTERS_KEPT, KEPT_CHARACTERS_MAX // len(cells)))
    return [cell if len(cell) <= room else cell[:room] + "…" for cell in cells]
