"""Pipedrive webhooks v2: deals, activities, leads and persons. It can't sign: basic authentication proves it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import Field

from services.ingest.model import Fault, Refused
from services.ingest.schemas import Name
from services.ingest.vendors.answers import problem, taken
from services.ingest.vendors.bodies import mapping, object_of, text
from services.ingest.vendors.names import PROFILE_UPDATED
from services.ingest.vendors.proofs import basic, forged, is_any, unproven
from services.ingest.vendors.shaping import Draft, identifier, lead_of, occurred, present, read_each, sender_id
from services.ingest.vendors.source_settings import CrmOptions, Text
from services.ingest.vendors.vendor import Read, Refusal, Sent, SourceConfig, Vendor

KIND: Final = "pipedrive"
CHANNELS: Final[Mapping[str, str]] = {"call": "call", "email": "email", "meeting": "meeting"}
OUTCOMES: Final = {"won": "sales.won", "lost": "sales.lost"}
NO_PERSON: Final = "names no person"
NO_NEWS: Final = "changes nothing that the agreement reads"
ABOUT_NOBODY: Final = frozenset(
    {"organization", "product", "pipeline", "stage", "user", "board", "phase", "project", "task", "note"}
    | {"deal_product", "deal_installment"}
)
PERSON_TABLE: Final = {"job_title": "title"}
PERSON_FACTS: Final = ("name", "first_name", "last_name", "job_title", "phone")


class PipedriveOptions(CrmOptions):
    """Of a source of kind `pipedrive`. `stages` has the ids of its stages: a webhook carries no names."""

    user: Text | None = Field(None, description="The user name of the webhook's basic authentication; any, without it")
    channels: dict[Text, Name | None] = Field(
        {}, max_length=100, description="Types of activities beside call, email and meeting that are a contact, and how"
    )


def verify(sent: Sent, source: SourceConfig) -> Refusal | None:
    """The secret is the password, or `user:password`."""
    what = "The header Authorization (basic)"
    if "authorization" not in sent.headers:
        return unproven(what)
    pair = basic(sent.headers["authorization"])
    if pair is None:
        return forged(what)
    user = source.settings_as(PipedriveOptions).user
    is_user = user is None or is_any(pair[0], (user,))
    is_secret = is_any(pair[1], source.secrets) | is_any(f"{pair[0]}:{pair[1]}", source.secrets)
    return None if is_secret and is_user else forged(what)


def read(sent: Sent, source: SourceConfig) -> Read | Refusal:
    body = object_of(sent.body)
    if isinstance(body, Refusal):
        return body
    settings = source.settings_as(PipedriveOptions)
    return read_each([body], lambda raw: _drafts(raw, settings), source)


class Change:
    """One webhook, taken apart: the record as it is, what of it was different before, and when it changed."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        meta = body.get("meta")
        if "current" in body and "data" not in body:
            raise Refused(Fault("", "is of version 1: choose version 2 where the webhook is made in Pipedrive"))
        if not isinstance(meta, dict):
            raise Refused(Fault("meta", "must be an object"))
        self.entity, self.action = text(meta.get("entity")), text(meta.get("action"))
        if self.entity is None or self.action is None:
            raise Refused(Fault("meta.entity", "is required, and meta.action"))
        self.kind = f"{self.entity}.{self.action}"
        self.now = mapping(body.get("data"))
        self.before = mapping(body.get("previous"))
        self.id = sender_id(meta["id"]) if identifier(meta.get("id")) else None
        self.occurred_at = occurred(meta.get("timestamp"), "meta.timestamp")
        self.entity_id = meta.get("entity_id")

    def has_become(self, name: str) -> bool:
        """Whether this webhook is about that field: it changed, or the record is new."""
        return self.action == "create" or name in self.before

    def draft(self, lead: Mapping[str, Any], **parts: Any) -> Draft:
        incomplete = None if lead else NO_PERSON
        parts.setdefault("kind", self.kind)
        return Draft(lead=lead, id=self.id, occurred_at=self.occurred_at, incomplete=incomplete, **parts)


def _drafts(body: Mapping[str, Any], settings: PipedriveOptions) -> Iterator[Draft]:
    change = Change(body)
    person = lead_of(ids={KIND: change.now.get("person_id")})
    if change.action == "delete" or change.entity in ABOUT_NOBODY:
        yield change.draft(person, ignored="deleted" if change.action == "delete" else "about no person")
        return
    match change.entity:
        case "deal":
            yield _deal(change, settings)
        case "activity":
            yield _activity(change, settings)
        case "person":
            yield _person(change)
        case "lead":
            yield _lead_entity(change)
        case _:
            yield change.draft(person)


def _deal(change: Change, settings: PipedriveOptions) -> Draft:
    """Won and lost first, then a stage that the source maps; a new deal opens the opportunity."""
    deal = change.now
    lead = lead_of(ids={KIND: deal.get("person_id")})
    money = present({"amount": deal.get("value"), "currency": deal.get("currency")})
    note = present({"note": text(deal.get("title"))})
    status, stage = text(deal.get("status")), identifier(deal.get("stage_id"))
    if status in OUTCOMES and change.has_become("status"):
        data = {**money, **note, **present({"reason": text(deal.get("lost_reason"))})}
        return change.draft(lead, type=OUTCOMES[status], data=data, names=(f"{change.kind}/{status}",))
    names = (f"{change.kind}/stage_id={stage}",)
    if stage in settings.stages and change.has_become("stage_id"):
        action = settings.stages[stage]
        if action is None:
            return change.draft(lead, names=names, ignored="the source ignores this stage")
        return change.draft(lead, type=f"sales.{action}", data={**money, **note}, names=names)
    if change.action == "create":
        return change.draft(lead, type="sales.opportunity.opened", data={**money, **note})
    if "stage_id" in change.before:
        return change.draft(lead, names=names, data={"stage_id": stage, **money})
    return change.draft(lead, ignored=NO_NEWS)


def _activity(change: Change, settings: PipedriveOptions) -> Draft:
    """A call, email or meeting that was done is a contact; one that is planned is not one yet."""
    activity = change.now
    type_ = text(activity.get("type")) or ""
    channels = {**CHANNELS, **settings.channels}
    names = (f"{change.kind}/{type_}",)
    channel = channels.get(type_)
    participant = next(
        (id for one in _primary_first(activity.get("participants")) if (id := one.get("person_id"))), None
    )
    lead = lead_of(ids={KIND: activity.get("person_id") or participant})
    data = present({"channel": channel or type_ or None, "note": text(activity.get("subject"))})
    if channel is None:
        return change.draft(lead, names=names, data=data, ignored="no call, email or meeting")
    if activity.get("done") is not True or not change.has_become("done"):
        return change.draft(lead, names=names, data=data, ignored="not done, or done before")
    return change.draft(lead, type="sales.contacted", names=names, data=data)


def _person(change: Change) -> Draft:
    person = change.now
    lead = lead_of(
        email=_primary(person.get("emails")) or person.get("email"),
        ids={KIND: person.get("id") or change.entity_id},
    )
    facts = {name: person.get(name) for name in PERSON_FACTS}
    facts["phone"] = _primary(person.get("phones")) or facts["phone"]
    profile = {name: value for name, value in facts.items() if isinstance(value, str)}
    return change.draft(lead, type=PROFILE_UPDATED, profile=profile, table=PERSON_TABLE)


def _lead_entity(change: Change) -> Draft:
    """A lead of Pipedrive's inbox: an activity, since the person may be nobody's yet."""
    lead = lead_of(ids={KIND: change.now.get("person_id")})
    value = mapping(change.now.get("value"))
    data = present(
        {
            "title": text(change.now.get("title")),
            "amount": value.get("amount"),
            "currency": value.get("currency"),
            "origin": text(change.now.get("origin")),
        }
    )
    if change.action == "create":
        return change.draft(lead, type="lead.created", data=data)
    if change.now.get("is_archived") is True and "is_archived" in change.before:
        return change.draft(lead, names=(f"{change.kind}/archived",), data={**data, "is_archived": True})
    return change.draft(lead, ignored=NO_NEWS)


def _primary(given: Any) -> str | None:
    """The primary of several emails or phones, else the first."""
    return next((value for entry in _primary_first(given) if (value := text(entry.get("value")))), None)


def _primary_first(given: Any) -> list[dict[str, Any]]:
    entries = [entry for entry in given if isinstance(entry, dict)] if isinstance(given, list) else []
    return sorted(entries, key=lambda entry: entry.get("primary") is not True)


VENDOR = Vendor(kind=KIND, settings=PipedriveOptions, verify=verify, read=read, answer=taken, refuse=problem)
