"""What records of Salesforce mean: leads and contacts are people, opportunities and their stages actions of sales,
tasks and events touches. A message has the fields as they are when it is sent, so that it says nothing of what changed:
an action counts once per record and stage."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from services.ingest.model import Fault, Refused
from services.ingest.vendors.names import PROFILE_UPDATED
from services.ingest.vendors.shaping import Draft, lead_of, moment, present, sender_id
from services.ingest.vendors.soap import Record

PERSON: Final = "salesforce"
STAGES: Final[Mapping[str, str | None]] = {"Closed Won": "won", "Closed Lost": "lost"}
CHANNELS: Final = {"call": "call", "email": "email", "listemail": "email", "meeting": "meeting", "event": "meeting"}
TABLE: Final = {
    "Title": "title",
    "Company": "company",
    "NumberOfEmployees": "employees",
    "Industry": "industry",
    "Country": "country",
    "CountryCode": "country_code",
    "Name": "name",
    "FirstName": "first_name",
    "LastName": "last_name",
    "Phone": "phone",
    "MobilePhone": "mobile_phone",
    "Website": "website",
    "City": "city",
    "State": "region",
    "PostalCode": "postal_code",
    "LeadSource": "lead_source",
}
# Neither facts about a person nor safe to hand on.
NOT_FACTS: Final = frozenset(
    {"Id", "Email", "SystemModstamp", "LastModifiedDate", "CreatedDate", "OwnerId", "CreatedById", "LastModifiedById"}
)
TIMES: Final = ("SystemModstamp", "LastModifiedDate")

_ID: Final = re.compile(r"[A-Za-z0-9]{15}([A-Za-z0-9]{3})?", re.ASCII)
_SUFFIX: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_CAPITALS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")

Stages = Mapping[str, str | None]


def long_id(id: str | None) -> str | None:
    """An id in its form of 18 characters: the last three say which of the first 15 are capitals. None if it is none."""
    if id is None or not _ID.fullmatch(id):
        return None
    short = id[:15]
    parts = (short[at : at + 5] for at in (0, 5, 10))
    suffix = (_SUFFIX[sum(1 << bit for bit, letter in enumerate(part) if letter in _CAPITALS)] for part in parts)
    return short + "".join(suffix)


def record_drafts(record: Record, stages: Stages) -> Iterator[Draft]:
    """What one notification means."""
    match record.kind:
        case None:
            raise Refused(Fault("sObject", "is required, with its xsi:type"))
        case "Lead" | "Contact":
            yield from _person(record, stages)
        case "Opportunity":
            yield _opportunity(record, stages)
        case "Task" | "Event":
            yield _touch(record)
        case _:
            # An object of the house's own: about a person if it says which one.
            lead = lead_of(email=record.fields.get("Email"), ids=_who(record, "ContactId", "Contact__c", "Lead__c"))
            yield _draft(record, lead, data=record.fields)


def _person(record: Record, stages: Stages) -> Iterator[Draft]:
    """A profile; and, if the source maps the status, what sales did by it."""
    lead = lead_of(email=record.fields.get("Email"), ids=_who(record, "Id"))
    facts = {name: value for name, value in record.fields.items() if name not in NOT_FACTS}
    status = record.fields.get("Status")
    names = (f"{record.kind}/Status={status}",) if status else ()
    yield _draft(record, lead, type=PROFILE_UPDATED, profile=facts)
    action = stages.get(status) if status else None
    if action is not None:
        data = {"note": f"status: {status}"}
        yield _draft(record, lead, names=names, type=f"sales.{action}", data=data, once=status)


def _opportunity(record: Record, stages: Stages) -> Draft:
    fields = record.fields
    lead = lead_of(email=fields.get("Email") or fields.get("Email__c"), ids=_who(record, "ContactId", "Contact__c"))
    stage = fields.get("StageName")
    names = (f"{record.kind}/StageName={stage}",) if stage else ()
    all_stages = {**STAGES, **stages}
    if stage in all_stages and all_stages[stage] is None:
        return _draft(record, lead, names=names, ignored="the source ignores this stage")
    data = {
        "amount": fields.get("Amount"),
        "currency": fields.get("CurrencyIsoCode"),
        "reason": fields.get("Loss_Reason__c"),
        "note": f"{fields.get('Name', 'opportunity')}: {stage}",
    }
    action = all_stages.get(stage, "opportunity.opened") if stage else "opportunity.opened"
    return _draft(record, lead, names=names, type=f"sales.{action}", data=present(data), once=action)


def _touch(record: Record) -> Draft:
    """A task that is completed, or an event in the calendar."""
    fields = record.fields
    written = fields.get("TaskSubtype") or fields.get("Type") or ("Event" if record.kind == "Event" else "")
    channel = CHANNELS.get(written.lower(), "meeting" if record.kind == "Event" else None)
    names = (f"{record.kind}/{written}",) if written else ()
    lead = lead_of(ids=_who(record, "WhoId"))
    data = present({"channel": channel or written or None, "note": fields.get("Subject")})
    if channel is None:
        return _draft(record, lead, names=names, data=data, ignored="no call, email or meeting")
    if record.kind == "Task" and fields.get("Status", "Completed") != "Completed":
        return _draft(record, lead, names=names, data=data, ignored="not completed")
    return _draft(record, lead, names=names, type="sales.contacted", data=data, once="contacted")


def _draft(record: Record, lead: dict[str, Any], *, once: str | None = None, **parts: Any) -> Draft:
    """`once`: what counts once for the record, however many messages say it."""
    record_id = long_id(record.fields.get("Id"))
    id_ = sender_id(record_id, once) if once and record_id else sender_id(record.id) if record.id else None
    return Draft(
        kind=record.kind or "",
        lead=lead,
        id=id_,
        occurred_at=_modified_at(record.fields),
        table=TABLE,
        incomplete=None if lead else "names neither a lead, a contact nor an email",
        **parts,
    )


def _who(record: Record, *names: str) -> dict[str, str]:
    """The person's id from the first of these fields that has one."""
    found = next((id for name in names if (id := long_id(record.fields.get(name))) is not None), None)
    return {PERSON: found} if found else {}


def _modified_at(fields: Mapping[str, str]) -> datetime | None:
    return next((at for name in TIMES if (at := moment(fields.get(name))) is not None), None)
