"""The bodies of `POST /v1/events` and of imports (HTTP.md "Ingest"): what is read, and what is answered."""

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from shared.events.sales import AMOUNT_MAX

PROFILE_FIELDS_MAX = 200
FIELD_NAME_CHARACTERS_MAX = 100
_TYPE: Final = r"[a-z0-9_-]+(\.[a-z0-9_-]+)*"
_CURRENCY: Final = "[A-Z]{3}"


def _like(pattern: str, words: str, **schema: Any) -> tuple[AfterValidator, WithJsonSchema]:
    """Text of a form; one that hasn't got it is told in words what is allowed."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(words)
        return text

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", **schema})


EventType = Annotated[
    str,
    StringConstraints(max_length=200),
    *_like(_TYPE, "must be lower-case words with dots between, like page.viewed", maxLength=200),
]
Currency = Annotated[str, *_like(_CURRENCY, "must be a currency code of three capitals, such as EUR")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
FieldName = Annotated[str, StringConstraints(min_length=1, max_length=FIELD_NAME_CHARACTERS_MAX)]
VendorId = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class PostedLead(BaseModel):
    """Who it is about; at least one identifier."""

    model_config = ConfigDict(extra="forbid", strict=True)

    email: Annotated[str, StringConstraints(max_length=320)] | None = None
    anonymous_id: VendorId | None = None
    ids: dict[FieldName, VendorId] | None = Field(None, max_length=20)


class PostedEvent(BaseModel):
    """One event in plain JSON; null is the same as nothing."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: EventType
    id: Name | None = None
    occurred_at: str | None = None
    lead: PostedLead | None = None
    profile: dict[FieldName, Any] | None = Field(None, max_length=PROFILE_FIELDS_MAX)
    data: dict[str, Any] | None = None
    source: Name | None = None
    campaign: Name | None = None


_Name = Annotated[str, Meta(min_length=1, max_length=200)]
_FieldName = Annotated[str, Meta(min_length=1, max_length=FIELD_NAME_CHARACTERS_MAX)]


class LeadShape(msgspec.Struct, forbid_unknown_fields=True):
    """What PostedLead accepts."""

    email: Annotated[str, Meta(max_length=320)] | None = None
    anonymous_id: _Name | None = None
    ids: Annotated[dict[_FieldName, _Name], Meta(max_length=20)] | None = None


class EventShape(msgspec.Struct, forbid_unknown_fields=True):
    """What PostedEvent accepts, found out in half the time; what it doesn't accept, PostedEvent describes."""

    type: Annotated[str, Meta(max_length=200, pattern=rf"\A{_TYPE}\Z")]
    id: _Name | None = None
    occurred_at: str | None = None
    lead: LeadShape | None = None
    profile: Annotated[dict[_FieldName, Any], Meta(max_length=PROFILE_FIELDS_MAX)] | None = None
    data: dict[str, Any] | None = None
    source: _Name | None = None
    campaign: _Name | None = None


class PostedEvents(BaseModel):
    """Several events in plain JSON."""

    events: list[PostedEvent] = Field(min_length=1)


class SalesData(BaseModel):
    """The `data` of a `sales.*` event."""

    model_config = ConfigDict(extra="ignore", strict=True)

    reason: Name | None = None
    channel: Name | None = None
    until: str | None = None
    amount: float | None = Field(default=None, ge=0, le=AMOUNT_MAX, allow_inf_nan=False)
    currency: Currency | None = None
    owner: Name | None = None
    note: Annotated[str, StringConstraints(max_length=10_000)] | None = None
    actor: Name | None = None


class CloudEvent(BaseModel):
    """A CloudEvent 1.0 in JSON; extension attributes are allowed and not used."""

    model_config = ConfigDict(extra="ignore", strict=True)

    specversion: Literal["1.0"]
    id: Name
    source: Name
    type: EventType
    subject: str | None = None
    time: str | None = None
    data: dict[str, Any] | None = None


class Rejection(BaseModel):
    """One refused event of a batch."""

    index: int
    id: str | None
    errors: list[dict[str, str]]


class Answer(BaseModel):
    """What became of a batch."""

    accepted: int
    duplicates: int
    rejected: list[Rejection]


class RowError(BaseModel):
    """One refused row of a file: its line, counted from 1, and what is wrong in which column."""

    line: int
    errors: list[dict[str, str]]


class ImportCounts(BaseModel):
    """What became of the rows read so far; `ignored`: the source's settings say so of their type."""

    rows: int
    accepted: int
    duplicates: int
    rejected: int
    ignored: int


class ImportShown(BaseModel):
    """A file, and how far it is read. `columns` says of each column where its cells go; null: left out."""

    id: UUID
    source_id: UUID
    source: str
    state: Literal["waiting", "running", "done", "failed"]
    bytes: int
    bytes_read: int
    rows: int
    counts: ImportCounts
    columns: dict[str, str | None]
    first_errors: list[RowError]
    failure: str | None
    received_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class ImportList(BaseModel):
    """Imports, the latest first."""

    items: list[ImportShown]
    next: str | None
